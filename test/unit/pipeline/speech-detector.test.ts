// Voice activity on real speech: what is found, when, at what level, and in what noise.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FeatureExtractor, hopSamples } from '../../../src/pipeline/feature-extractor.ts';
import { SpeechDetector } from '../../../src/pipeline/speech-detector.ts';
import { decodeOggOpus } from '../../../tools/audio/decode-ogg.ts';

const clip = await decodeOggOpus(readFileSync(new URL('../../../assets/demo/1015_IEO_ANG_HI.opus', import.meta.url)));
const silence = (seconds: number) => new Float32Array(seconds * 16_000);

/** Speech flags by frame and changes, of audio played through extractor and detector. */
function detect(audio: Float32Array) {
  const extractor = new FeatureExtractor();
  const detector = new SpeechDetector();
  const flags: boolean[] = [];
  const indices: number[] = [];
  const changes: { state: string; frameIndex: number; seenAtFrame: number }[] = [];
  const take: Parameters<SpeechDetector['process']>[1] = (output) => {
    if (output.kind === 'frame') {
      indices.push(output.frame.index);
      flags.push(output.frame.speech);
    } else changes.push({ state: output.state, frameIndex: output.frameIndex, seenAtFrame: indices.length });
  };
  extractor.process({ startSample: 0, samples: audio, concealed: false, arrivalMs: 0 }, (frame) => {
    detector.process(frame, take);
  });
  detector.flush(take);
  return { flags, indices, changes };
}

function join(...parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function scaled(audio: Float32Array, gain: number): Float32Array {
  return audio.map((sample) => sample * gain);
}

/** White noise, the same each time (a linear congruential generator). */
function noise(samples: number, amplitude: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: samples }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return amplitude * (state / 2 ** 31 - 1);
  });
}

describe('SpeechDetector', () => {
  it('passes each frame on once, in order, and finds the utterance between two silences', () => {
    const { flags, indices, changes } = detect(join(silence(1), clip, silence(1)));
    expect(indices).toEqual(indices.map((_, i) => i));
    expect(changes.map((change) => change.state)).toEqual(['start', 'end']);
    const [start, end] = changes;
    expect(start!.frameIndex).toBeGreaterThanOrEqual(98);
    expect(end!.frameIndex).toBeLessThanOrEqual(100 + clip.length / hopSamples);
    expect(flags.slice(start!.frameIndex, end!.frameIndex).every(Boolean)).toBe(true);
    expect(flags.slice(0, start!.frameIndex).some(Boolean)).toBe(false);
    expect(flags.filter(Boolean).length).toBeGreaterThan(80);
  });

  it('tells of an onset before the frames from it on', () => {
    const { changes } = detect(join(silence(1), clip, silence(1)));
    expect(changes[0]!.seenAtFrame).toBeLessThanOrEqual(changes[0]!.frameIndex);
  });

  it('hears the same through a microphone that is 20 dB weaker, once it knows the room', () => {
    const twice = join(clip, silence(1), clip, silence(1));
    const half = Math.floor(twice.length / 2 / hopSamples);
    const loud = detect(twice).flags.slice(half);
    const weak = detect(scaled(twice, 0.1)).flags.slice(half);
    const differing = loud.filter((flag, i) => flag !== weak[i]).length;
    expect(differing / loud.filter(Boolean).length).toBeLessThan(0.12);
  });

  it('says nothing on silence, and nothing on steady noise once its floor is known', () => {
    expect(detect(silence(5)).changes).toEqual([]);
    const { flags } = detect(noise(16_000 * 8, 0.01));
    expect(flags.slice(300).filter(Boolean).length / (flags.length - 300)).toBeLessThan(0.02);
  });

  it('does not take the room for speech because concealment fades below its noise', () => {
    // A tenth of the packets lost, two in a row, and concealed by what fades to nothing.
    const lost = (at: number): boolean => Math.floor(at / 320) % 20 < 2;
    const audio = noise(16_000 * 10, 0.01).map((sample, at) => (lost(at) ? sample * Math.exp(-(at % 6400) / 100) : sample));
    const extractor = new FeatureExtractor();
    const detector = new SpeechDetector();
    const flags: boolean[] = [];
    const take: Parameters<SpeechDetector['process']>[1] = (output) => {
      if (output.kind === 'frame') flags.push(output.frame.speech);
    };
    for (let at = 0; at < audio.length; at += 320) {
      const chunk = { startSample: at, samples: audio.subarray(at, at + 320), concealed: lost(at), arrivalMs: 0 };
      extractor.process(chunk, (frame) => {
        detector.process(frame, take);
      });
    }
    detector.flush(take);
    expect(flags.slice(300).filter(Boolean).length / (flags.length - 300)).toBeLessThan(0.02);
  });

  it('finds the same utterance at the same place each time a caller speaks it', () => {
    const part = join(clip, silence(1.3));
    const { changes } = detect(join(part, part, part, part));
    const starts = changes.filter((change) => change.state === 'start').map((change) => change.frameIndex);
    expect(starts).toHaveLength(4);
    const partFrames = part.length / hopSamples;
    // The first time it does not know the room's noise yet.
    for (const [i, start] of starts.slice(2).entries()) {
      expect(Math.abs(start - starts[1]! - (i + 1) * partFrames)).toBeLessThanOrEqual(2.5);
    }
  });

  it('ends an utterance where the caller stalls, and numbers on from there', () => {
    const extractor = new FeatureExtractor();
    const detector = new SpeechDetector();
    const indices: number[] = [];
    const states: string[] = [];
    const take: Parameters<SpeechDetector['process']>[1] = (output) => {
      if (output.kind === 'frame') indices.push(output.frame.index);
      else states.push(output.state);
    };
    let startSample = 0;
    const play = (samples: Float32Array): void => {
      extractor.process({ startSample, samples, concealed: false, arrivalMs: 0 }, (frame) => {
        detector.process(frame, take);
      });
      startSample += samples.length;
    };
    play(join(silence(0.5), clip.subarray(0, 16_000)));
    expect(states).toEqual(['start']);
    detector.pause(take);
    detector.pause(take);
    expect(states).toEqual(['start', 'end']);
    expect(indices).toHaveLength(Math.floor((24_000 - 400) / hopSamples) + 1);
    play(join(silence(0.5), clip.subarray(0, 16_000)));
    expect(states).toEqual(['start', 'end', 'start']);
    expect(indices).toEqual(indices.map((_, i) => i));
  });

  it('ends an open utterance when the track ends', () => {
    const { changes } = detect(join(silence(0.5), clip.subarray(0, 16_000)));
    expect(changes.map((change) => change.state)).toEqual(['start', 'end']);
  });
});
