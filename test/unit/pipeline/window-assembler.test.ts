// Windows: when they are due, what they hold, and that the ring shows the same as the frames themselves.
import { describe, expect, it } from 'vitest';
import { featureCount } from '../../../src/pipeline/mel.ts';
import type { DetectedSpeech } from '../../../src/pipeline/speech-detector.ts';
import type { FeatureWindow, PipelineOutput } from '../../../src/pipeline/types.ts';
import { WindowAssembler } from '../../../src/pipeline/window-assembler.ts';

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
const track = { callId: 'c', participantId: 'p', trackId: 't', codec };
const spec = {
  windowFrames: 30,
  hopFrames: 10,
  minSpeechFrames: 5,
  prior: {
    mean: new Float32Array(featureCount),
    std: new Float32Array(featureCount).fill(1),
    meanWeightFrames: 1e9,
    stdWeightFrames: 1e9,
    memoryFrames: 1e9,
  },
};

/** With a prior that outweighs everything, a frame's normalised features are its raw ones: here, its index / 100. */
function frame(index: number, speech: boolean, concealed = false): DetectedSpeech {
  const logMel = new Float32Array(64).fill(index / 100);
  const mfcc = new Float32Array(40).fill(-index / 100);
  return { kind: 'frame', frame: { index, logMel, mfcc, speech, concealed, arrivalMs: index * 10 } };
}

function windows(speech: (index: number) => boolean, frames: number, concealed: (index: number) => boolean = () => false): FeatureWindow[] {
  const assembler = new WindowAssembler(track, spec);
  const out: PipelineOutput[] = [];
  for (let i = 0; i < frames; i += 1) assembler.process(frame(i, speech(i), concealed(i)), (output) => out.push(output));
  return out.flatMap((output) => (output.kind === 'window' ? [output.window] : []));
}

describe('WindowAssembler', () => {
  it('emits a window a hop, from enough speech on, at the media position of its frames', () => {
    const out = windows(() => true, 60);
    expect(out.map((window) => window.endSample)).toEqual([9, 19, 29, 39, 49, 59].map((last) => last * 160 + 400));
    expect(out.map((window) => window.startSample)).toEqual([0, 0, 0, 1600, 3200, 4800]);
    expect(out.map((window) => window.arrivalMs)).toEqual([90, 190, 290, 390, 490, 590]);
  });

  it('holds the last frames, oldest first, with silence before the first', () => {
    const [first, , , fourth] = windows(() => true, 40);
    const column = (window: FeatureWindow, feature: number) =>
      Array.from({ length: window.frameCount }, (_, row) => window.features[row * featureCount + feature]!);
    expect(column(first!, 0)).toEqual([
      ...Array<number>(20).fill(0),
      ...Array.from({ length: 10 }, (_, i) => expect.closeTo(i / 100, 5) as number),
    ]);
    expect(column(fourth!, 63)).toEqual(Array.from({ length: 30 }, (_, i) => expect.closeTo((i + 10) / 100, 5) as number));
    expect(column(fourth!, 64)).toEqual(Array.from({ length: 30 }, (_, i) => expect.closeTo(-(i + 10) / 100, 5) as number));
    expect([...first!.mask]).toEqual([...Array<number>(20).fill(0), ...Array<number>(10).fill(1)]);
  });

  it('zeroes what is not speech', () => {
    const [window] = windows((i) => i % 2 === 0, 10);
    for (let i = 0; i < 10; i += 1) {
      const row = window!.features.subarray((20 + i) * featureCount, (21 + i) * featureCount);
      expect(row.every((value) => value === 0)).toBe(i % 2 === 1 || i === 0);
    }
    expect(window!.speechRatio).toBeCloseTo(5 / 30, 6);
  });

  it('says nothing without enough speech, and nothing in the silence after it', () => {
    expect(windows((i) => i < 4, 60)).toEqual([]);
    // Speech in frames 0 to 11: windows at 10 and at 20, whose newest hop still holds some, and none after.
    expect(windows((i) => i < 12, 60).map((window) => window.endSample)).toEqual([9, 19].map((last) => last * 160 + 400));
  });

  it('tells how much of the speech was concealed', () => {
    const [window] = windows(
      (i) => i >= 2,
      10,
      (i) => i < 4,
    );
    expect(window!.concealedRatio).toBeCloseTo(2 / 8, 6);
    expect(window!.speechRatio).toBeCloseTo(8 / 30, 6);
  });

  it('does not take concealment for the caller’s voice', () => {
    const [window] = windows(
      () => true,
      10,
      (i) => i >= 3 && i < 6,
    );
    expect([...window!.mask.subarray(20)]).toEqual([1, 1, 1, 0, 0, 0, 1, 1, 1, 1]);
    for (let i = 3; i < 6; i += 1) {
      expect(window!.features.subarray((20 + i) * featureCount, (21 + i) * featureCount).every((value) => value === 0)).toBe(true);
    }
    // Six of ten frames are concealed: four are too few to be scored.
    expect(
      windows(
        () => true,
        10,
        (i) => i < 6,
      ),
    ).toEqual([]);
  });

  it('hands out windows that later frames do not change', () => {
    const out = windows(() => true, 60);
    expect(out[2]!.features[0]).toBeCloseTo(0, 6);
    expect(out[5]!.features[0]).toBeCloseTo(0.3, 5);
  });

  it('passes changes of speech on at their media position', () => {
    const assembler = new WindowAssembler(track, spec);
    const out: PipelineOutput[] = [];
    assembler.process({ kind: 'change', state: 'start', frameIndex: 7, arrivalMs: 99 }, (output) => out.push(output));
    expect(out).toEqual([{ kind: 'speech', change: { track, state: 'start', atSample: 1120, arrivalMs: 99 } }]);
  });
});
