// Voice activity on real speech: what is found, when, at what level, and in what noise.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FeatureExtractor, hopSamples } from '../../../src/pipeline/feature-extractor.ts';
import { SpeechDetector } from '../../../src/pipeline/speech-detector.ts';
import { decodeOggOpus } from '../../../tools/audio/decode-ogg.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { addNoise } from '../../../tools/evaluate/noise.ts';
import { speechLabels } from '../../../tools/vad/labels.ts';
import { tones } from '../../../tools/vad/tones.ts';
import { utterancesOf } from '../../../tools/vad/utterances.ts';

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

/** Share of the frames of which both say the same. */
function agreement(one: readonly boolean[], other: readonly boolean[]): number {
  return one.filter((flag, i) => flag === other[i]).length / one.length;
}

/** Frames marked as speech by a detector whose network says these probabilities of the frames, in order. */
function marks(said: readonly number[], frames: number): readonly number[] {
  let step = 0;
  const network = {
    createState: () => new Float32Array(),
    step: (_inputs: Float32Array, _state: Float32Array, out: Float32Array) => {
      // The first pair that is judged lies before the first frame.
      out.set([said[2 * step - 2] ?? 0, said[2 * step - 1] ?? 0]);
      step += 1;
    },
  };
  const detector = new SpeechDetector({ network });
  const marked: number[] = [];
  const take: Parameters<SpeechDetector['process']>[1] = (output) => {
    if (output.kind === 'frame' && output.frame.speech) marked.push(output.frame.index);
  };
  const features = { logMel: new Float32Array(64).fill(-3), mfcc: new Float32Array(40), concealed: false, arrivalMs: 0 };
  for (let index = 0; index < frames; index += 1) detector.process({ ...features, index }, take);
  detector.flush(take);
  return marked;
}

/** The same by its definition, where every frame waits for the six after it. */
function marksAllHeldBack(said: readonly number[], frames: number): readonly number[] {
  const marked: number[] = [];
  let [speaking, onset, lastActive, released] = [false, 0, -1, 0];
  const release = (end: number): void => {
    for (; released < end; released += 1) {
      if (lastActive >= 0 && released >= onset && released <= lastActive + 12) marked.push(released);
    }
  };
  for (let seen = 1; seen <= frames; seen += 1) {
    const judged = seen % 2 === 0 ? [seen - 4, seen - 3].filter((index) => index >= 0) : [];
    for (const index of judged) {
      const from = Math.max(released, lastActive + 1);
      const active = Array.from({ length: Math.max(0, index + 1 - from) }, (_, i) => from + i).filter(
        (at) => said[at]! >= Math.fround(0.4),
      );
      if (speaking && said[index]! >= 0.2) lastActive = index;
      else if (speaking) speaking = index - lastActive < 40;
      else if (active.length >= 3) [speaking, onset, lastActive] = [true, active[0]!, index];
    }
    release(seen - 6);
  }
  release(frames);
  return marked;
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

  it('tells of an onset before the first frame of speech goes out', () => {
    const { changes, flags } = detect(join(silence(1), clip, silence(1)));
    expect(changes[0]!.seenAtFrame).toBeLessThanOrEqual(flags.indexOf(true));
    expect(changes[0]!.frameIndex).toBeLessThanOrEqual(flags.indexOf(true));
  });

  it('hears the same through a microphone that is 20 dB weaker, once it knows the room', () => {
    const twice = join(clip, silence(1), clip, silence(1));
    const half = Math.floor(twice.length / 2 / hopSamples);
    const loud = detect(twice).flags.slice(half);
    const weak = detect(scaled(twice, 0.1)).flags.slice(half);
    const differing = loud.filter((flag, i) => flag !== weak[i]).length;
    expect(differing / loud.filter(Boolean).length).toBeLessThan(0.12);
  });

  it('says nothing on silence, and nothing on steady noise from its first frame on', () => {
    expect(detect(silence(5)).changes).toEqual([]);
    for (const amplitude of [0.001, 0.01, 0.1]) expect(detect(noise(16_000 * 8, amplitude)).changes).toEqual([]);
    expect(detect(join(silence(2), noise(16_000 * 4, 0.03), silence(1), noise(16_000 * 4, 0.03))).changes).toEqual([]);
  });

  it('takes neither hold music nor ringing for speech', () => {
    const shares = Array.from({ length: 12 }, (_, seed) => {
      const { flags } = detect(scaled(tones(16_000 * 10, createRandom(seed)), 0.05));
      return flags.filter(Boolean).length / flags.length;
    });
    expect(shares.reduce((sum, share) => sum + share, 0) / shares.length).toBeLessThan(0.1);
  });

  it('hears in white noise at 10 dB what it hears without', () => {
    const padded = join(silence(1), clip, silence(1));
    const clean = detect(padded).flags;
    const hiss = noise(padded.length, 1);
    expect(agreement(detect(addNoise(padded, hiss, 20)).flags, clean)).toBeGreaterThan(0.9);
    expect(agreement(detect(addNoise(padded, hiss, 10)).flags, clean)).toBeGreaterThan(0.9);
  });

  it('wakes at once after a long digital silence, at first and within a call', () => {
    const soon = detect(join(silence(1), clip, silence(1))).changes;
    const late = detect(join(silence(61), clip, silence(1))).changes;
    expect(late.map(({ state, frameIndex }) => [state, frameIndex - 6000])).toEqual(
      soon.map(({ state, frameIndex }) => [state, frameIndex]),
    );
    const start = soon[0]!.frameIndex - 100;
    const starts = detect(join(clip, silence(60), clip, silence(1))).changes.filter(({ state }) => state === 'start');
    expect(Math.abs(starts.at(-1)!.frameIndex - 6000 - clip.length / hopSamples - start)).toBeLessThanOrEqual(6);
  });

  it('takes no concealed frame for speech, and goes on after it as before', () => {
    const audio = join(silence(0.5), clip, silence(1));
    const play = (isConcealed: (at: number) => boolean): { states: string[]; active: number } => {
      const extractor = new FeatureExtractor();
      const detector = new SpeechDetector();
      const states: string[] = [];
      let active = 0;
      const take: Parameters<SpeechDetector['process']>[1] = (output) => {
        if (output.kind === 'change') states.push(output.state);
        else if (output.frame.speech) active += 1;
      };
      for (let at = 0; at < audio.length; at += 320) {
        const chunk = { startSample: at, samples: audio.subarray(at, at + 320), concealed: isConcealed(at), arrivalMs: 0 };
        extractor.process(chunk, (frame) => {
          detector.process(frame, take);
        });
      }
      detector.flush(take);
      return { states, active };
    };
    expect(play(() => true)).toEqual({ states: [], active: 0 });
    const whole = play(() => false);
    const lossy = play((at) => Math.floor(at / 320) % 10 === 9);
    expect(lossy.states).toEqual(['start', 'end']);
    expect(Math.abs(lossy.active - whole.active) / whole.active).toBeLessThan(0.1);
  });

  it('finds where clips begin and end, to 60 ms for most', async () => {
    const folder = new URL('../../../assets/demo/', import.meta.url);
    const names = readdirSync(folder).filter((name) => name.endsWith('.opus'));
    const errors = { start: [] as number[], end: [] as number[] };
    for (const name of names) {
      const samples = await decodeOggOpus(readFileSync(new URL(name, folder)));
      const labelled = utterancesOf(speechLabels(samples), 40);
      if (labelled.length !== 1) continue;
      const { changes } = detect(join(silence(0.5), samples, silence(1)));
      const starts = changes.filter(({ state }) => state === 'start');
      const ends = changes.filter(({ state }) => state === 'end');
      errors.start.push(Math.abs((starts[0]?.frameIndex ?? Infinity) - 50 - labelled[0]!.start));
      errors.end.push(Math.abs((ends.at(-1)?.frameIndex ?? Infinity) - 50 - labelled[0]!.end));
    }
    const near = (frames: readonly number[]): number => frames.filter((error) => error <= 6).length / frames.length;
    expect(errors.start.length).toBeGreaterThan(40);
    expect(near(errors.start)).toBeGreaterThan(0.85);
    expect(near(errors.end)).toBeGreaterThan(0.65);
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

  it('lets a frame of an utterance go as it comes, and holds others back for 60 ms in case speech begins', () => {
    const audio = join(silence(1), clip, silence(1));
    const extractor = new FeatureExtractor();
    const detector = new SpeechDetector();
    let newest = -1;
    let change = '';
    const held: { frames: number; speech: boolean; change: string }[] = [];
    const take: Parameters<SpeechDetector['process']>[1] = (output) => {
      if (output.kind === 'change') change = output.state;
      else held.push({ frames: newest - output.frame.index, speech: output.frame.speech, change });
    };
    extractor.process({ startSample: 0, samples: audio, concealed: false, arrivalMs: 0 }, (frame) => {
      newest = frame.index;
      detector.process(frame, take);
    });
    const within = held.filter(({ speech, change: last }) => speech && last === 'start');
    expect(within.length).toBeGreaterThan(80);
    // But for those that waited for the start to be sure, and those behind a pause that was no end.
    expect(within.filter(({ frames }) => frames === 0).length / within.length).toBeGreaterThan(0.8);
    const outside = held.filter(({ change: last }) => last !== 'start');
    expect(outside.length).toBeGreaterThan(100);
    expect(new Set(outside.map(({ frames }) => frames))).toEqual(new Set([6]));
    expect(Math.max(...held.map(({ frames }) => frames))).toBe(6);
  });

  it('marks the same frames as one that holds each back for 60 ms', () => {
    const random = createRandom(7);
    for (let round = 0; round < 20; round += 1) {
      // Stretches of speech, and pauses of up to a second in which a frame may still seem to be speech.
      const said: number[] = [];
      while (said.length < 1000) {
        const speech = random() < 0.5;
        const pause = (): number => (random() < 0.03 ? 0.6 : 0.19 * random());
        for (let left = 1 + Math.floor(100 * random() ** 2); left > 0; left -= 1) said.push(speech ? 0.15 + 0.85 * random() : pause());
      }
      const frames = said.length - 4;
      const marked = marks(said, frames);
      expect(marked.length).toBeGreaterThan(100);
      expect(marked).toEqual(marksAllHeldBack(said, frames));
    }
  });

  it('ends an open utterance when the track ends', () => {
    const { changes } = detect(join(silence(0.5), clip.subarray(0, 16_000)));
    expect(changes.map((change) => change.state)).toEqual(['start', 'end']);
  });
});
