// Windows: when they are due, what they hold, and that blocks show the same as the frames themselves.
import { describe, expect, it } from 'vitest';
import { featureCount } from '../../../src/pipeline/mel.ts';
import type { DetectedSpeech } from '../../../src/pipeline/speech-detector.ts';
import { Pace } from '../../../src/pipeline/pace.ts';
import { featureSteps, type FeatureWindow, type PipelineOutput } from '../../../src/pipeline/types.ts';
import { WindowAssembler } from '../../../src/pipeline/window-assembler.ts';

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
const track = { callId: 'c', participantId: 'p', trackId: 't', codec };
const spec = {
  windowFrames: 30,
  contextFrames: 15,
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
/** Context and window in whole hops. */
const blockCount = 5;

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

const silence = new Float32Array(spec.hopFrames * featureCount);

/** One feature of all frames of a window's blocks, oldest first. */
function column({ blocks }: FeatureWindow, feature: number): number[] {
  return blocks.flatMap((block) =>
    Array.from({ length: spec.hopFrames }, (_, row) => (block?.features ?? silence)[row * featureCount + feature]! / featureSteps),
  );
}

const maskOf = ({ blocks }: FeatureWindow): number[] => blocks.flatMap((block) => [...(block?.mask ?? new Float32Array(spec.hopFrames))]);

describe('WindowAssembler', () => {
  it('emits a window a hop, from enough speech on, at the media position of its frames', () => {
    const out = windows(() => true, 60);
    expect(out.map((window) => window.endFrame)).toEqual([10, 20, 30, 40, 50, 60]);
    expect(out.map((window) => window.endSample)).toEqual([9, 19, 29, 39, 49, 59].map((last) => last * 160 + 400));
    expect(out.map((window) => window.startSample)).toEqual([0, 0, 0, 1600, 3200, 4800]);
    expect(out.map((window) => window.arrivalMs)).toEqual([90, 190, 290, 390, 490, 590]);
    for (const window of out) expect(window).toMatchObject({ frameCount: 30, contextFrames: 15, featureCount });
  });

  it('holds the last frames of context and window, oldest first, with silence before the first', () => {
    const out = windows(() => true, 80);
    const [first, eighth] = [out[0]!, out[7]!];
    const upTo = (from: number, to: number, sign = 1) =>
      Array.from({ length: to - from }, (_, i) => expect.closeTo((sign * (from + i)) / 100, 3) as number);
    expect(first.blocks.slice(0, 4)).toEqual([null, null, null, null]);
    expect(column(first, 0)).toEqual([...Array<number>(40).fill(0), ...upTo(0, 10)]);
    expect(maskOf(first)).toEqual([...Array<number>(40).fill(0), ...Array<number>(10).fill(1)]);
    expect(column(eighth, 63)).toEqual(upTo(30, 80));
    expect(column(eighth, 64)).toEqual(upTo(30, 80, -1));
  });

  it('shares blocks between windows: each is made once and never changed', () => {
    const out = windows((i) => i % 7 !== 3, 60);
    const copies = out.map((window) => ({ window, values: column(window, 5), mask: maskOf(window) }));
    for (const [at, window] of out.entries()) {
      expect(window.blocks).toHaveLength(blockCount);
      for (const [back, later] of out.slice(at, at + blockCount).entries()) {
        expect(later.blocks[blockCount - 1 - back]).toBe(window.blocks.at(-1));
      }
    }
    for (const { window, values, mask } of copies) expect([column(window, 5), maskOf(window)]).toEqual([values, mask]);
  });

  it('does not change a window that was handed out, whatever comes after', () => {
    const assembler = new WindowAssembler(track, spec);
    const out: PipelineOutput[] = [];
    const play = (from: number, to: number) => {
      for (let i = from; i < to; i += 1) assembler.process(frame(i, true), (output) => out.push(output));
    };
    play(0, 60);
    const last = out.at(-1);
    const window = last?.kind === 'window' ? last.window : undefined;
    const before = column(window!, 0);
    play(60, 200);
    assembler.close();
    expect(column(window!, 0)).toEqual(before);
    expect(window?.endFrame).toBe(60);
  });

  it('zeroes what is not speech, and makes no block of a hop without any', () => {
    const [window] = windows((i) => i % 2 === 0, 10);
    const newest = window!.blocks.at(-1)!;
    for (let i = 0; i < 10; i += 1) {
      const row = newest.features.subarray(i * featureCount, (i + 1) * featureCount);
      expect(row.every((value) => value === 0)).toBe(i % 2 === 1 || i === 0);
    }
    expect(window!.speechRatio).toBeCloseTo(5 / 30, 6);
    const paused = windows((i) => i < 10 || i >= 30, 50);
    expect(paused.map(({ endFrame }) => endFrame)).toEqual([10, 40, 50]);
    expect(paused.at(-1)!.blocks.map((block) => block === null)).toEqual([false, true, true, false, false]);
  });

  it('says nothing without enough speech in the window itself, and nothing in the silence after it', () => {
    expect(windows((i) => i < 4, 60)).toEqual([]);
    // Speech in frames 0 to 11: windows at 10 and at 20, whose newest hop still holds some, and none after.
    expect(windows((i) => i < 12, 60).map((window) => window.endFrame)).toEqual([10, 20]);
    // Ten frames of speech lie in the context, three in the window: too few.
    expect(windows((i) => i < 10 || (i >= 40 && i < 43), 60).map((window) => window.endFrame)).toEqual([10]);
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

  it('counts speech and concealment over the window, not over its context', () => {
    const out = windows(
      () => true,
      60,
      (i) => i < 15,
    );
    expect(out.map(({ endFrame }) => endFrame)).toEqual([20, 30, 40, 50, 60]);
    expect(out.map(({ concealedRatio }) => concealedRatio)).toEqual([15 / 20, 15 / 30, 5 / 30, 0, 0]);
    expect(out.map(({ speechRatio }) => speechRatio)).toEqual([20 / 30, 1, 1, 1, 1]);
  });

  it('does not take concealment for the caller’s voice', () => {
    const [window] = windows(
      () => true,
      10,
      (i) => i >= 3 && i < 6,
    );
    const newest = window!.blocks.at(-1)!;
    expect([...newest.mask]).toEqual([1, 1, 1, 0, 0, 0, 1, 1, 1, 1]);
    for (let i = 3; i < 6; i += 1) {
      expect(newest.features.subarray(i * featureCount, (i + 1) * featureCount).every((value) => value === 0)).toBe(true);
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

  it('forgets at the start of an utterance what was said before, but not the voice', () => {
    const prior = { ...spec.prior, meanWeightFrames: 1, stdWeightFrames: 1e9 };
    const assembler = new WindowAssembler(track, { ...spec, prior });
    const out: PipelineOutput[] = [];
    const emit = (output: PipelineOutput) => out.push(output);
    const say = (from: number, to: number) => {
      for (let i = from; i < to; i += 1) assembler.process(frame(i, true), emit);
    };
    assembler.process({ kind: 'change', state: 'start', frameIndex: 0, arrivalMs: 0 }, emit);
    say(0, 20);
    assembler.process({ kind: 'change', state: 'end', frameIndex: 20, arrivalMs: 0 }, emit);
    for (let i = 20; i < 26; i += 1) assembler.process(frame(i, false), emit);
    assembler.process({ kind: 'change', state: 'start', frameIndex: 26, arrivalMs: 0 }, emit);
    say(26, 40);
    const all = out.flatMap((output) => (output.kind === 'window' ? [output.window] : []));
    // At frame 30 the window would hold 20 frames of the first utterance, but only 4 of its own: too few.
    expect(all.map(({ endFrame }) => endFrame)).toEqual([10, 20, 40]);
    expect(maskOf(all.at(-1)!)).toEqual([...Array<number>(36).fill(0), ...Array<number>(14).fill(1)]);
    expect(all.at(-1)).toMatchObject({ speechRatio: 14 / 30, concealedRatio: 0 });
    // Normalised with the mean of both utterances (frames 0 to 19 and 26) and a prior that weighs one frame.
    expect(column(all.at(-1)!, 0)[36]).toBeCloseTo(0.26 - (1.9 + 0.26) / 22, 3);
  });

  it('passes changes of speech on at their media position', () => {
    const assembler = new WindowAssembler(track, spec);
    const out: PipelineOutput[] = [];
    assembler.process({ kind: 'change', state: 'start', frameIndex: 7, arrivalMs: 99 }, (output) => out.push(output));
    expect(out).toEqual([{ kind: 'speech', change: { track, state: 'start', atSample: 1120, arrivalMs: 99 } }]);
  });
});

describe('WindowAssembler at a pace', () => {
  /** Windows of a caller who speaks all the time, or when told; `factorAt` says the pace before each frame. */
  function paced(factorAt: (index: number) => number, frames: number, changesAt: readonly number[] = []): FeatureWindow[] {
    const pace = new Pace();
    const assembler = new WindowAssembler(track, spec, pace);
    const out: PipelineOutput[] = [];
    for (let i = 0; i < frames; i += 1) {
      pace.hopFactor = factorAt(i);
      if (changesAt.includes(i)) {
        assembler.process({ kind: 'change', state: 'start', frameIndex: i, arrivalMs: 0 }, (output) => out.push(output));
      }
      assembler.process(frame(i, true), (output) => out.push(output));
    }
    return out.flatMap((output) => (output.kind === 'window' ? [output.window] : []));
  }

  const ends = (list: readonly FeatureWindow[]) => list.map(({ endFrame }) => endFrame);

  it('leaves windows out, on the grid of hops, and each says the hop in force', () => {
    const out = paced((i) => (i < 35 ? 1 : i < 120 ? 4 : i < 160 ? 2 : 1), 200);
    expect(ends(out)).toEqual([10, 20, 30, 70, 110, 130, 150, 170, 180, 190, 200]);
    expect(out.map(({ hopFrames }) => hopFrames)).toEqual([10, 10, 10, 40, 40, 20, 20, 10, 10, 10, 10]);
  });

  it('makes the same windows of those that are left, whatever the pace', () => {
    const full = new Map(paced(() => 1, 200).map((window) => [window.endFrame, window]));
    for (const window of paced((i) => [1, 4, 2, 4][Math.floor(i / 45) % 4]!, 200)) {
      const { hopFrames: _hop, ...same } = window;
      expect(full.get(window.endFrame)).toMatchObject(same);
    }
  });

  it('makes the first window of an utterance as soon as at the full pace', () => {
    expect(ends(paced(() => 4, 150, [0, 63]))).toEqual([10, 50, 70, 110, 150]);
  });
});
