// One run of an evaluation: calls played through the live pipeline, and what the model said of each clip in them.
import { frameSamples, hopSamples } from '../../src/pipeline/feature-extractor.ts';
import type { Point } from '../../src/models/types.ts';
import { createDecoder } from '../../src/pipeline/codec.ts';
import type { HeardFrame } from '../analyse/front-end.ts';
import { play, type OfflineCaller } from '../analyse/play.ts';
import type { CorpusClip } from '../corpus/corpus.ts';
import { concealing, type Concealment } from './concealment.ts';
import { Line, trackOf, type LineOptions } from './line.ts';
import type { NoiseSource } from './noise.ts';

/** One caller of a run. */
export interface Call {
  /** No other call of the run has it. */
  readonly name: string;
  readonly clips: readonly CorpusClip[];
}

/** What {@link hear} is told. */
export interface HearOptions extends LineOptions {
  readonly modelDir: string;
  readonly calls: readonly Call[];
  readonly noise: NoiseSource;
  readonly concealment: Concealment;
  /** Indices of the model's labels that count; its posteriors are normalised over them. */
  readonly kept: readonly number[];
}

/** A window of a clip. */
export interface ClipWindow {
  /** By label that counts; they sum to 1. */
  readonly probabilities: readonly number[];
  /** Speech of the clip that had been heard by the window's end, frames of 10 ms. */
  readonly heardFrames: number;
  /** Share of the window that is speech. */
  readonly speechRatio: number;
  /** Share of that speech that was concealed. */
  readonly concealedRatio: number;
}

/** What was heard of a clip. Frames are those of 10 ms in which speech was heard that was not concealed. */
export interface HeardClip {
  readonly clip: CorpusClip;
  /** Speech of the caller that was heard in the call before the clip. */
  readonly framesBefore: number;
  /** In order of time; none where the clip was not heard. */
  readonly windows: readonly ClipWindow[];
}

/** Played through the live pipeline, every clip that is sent to be scored comes back once, in no particular order. */
export async function hear(options: HearOptions, onPlayed: () => void = () => undefined): Promise<HeardClip[]> {
  const { modelDir, calls, noise, kept, concealment } = options;
  const listeners = new Map<string, Listener>();
  for (const { name, clips } of calls) listeners.set(name, new Listener(await Line.open(options, clips, noise, name), kept));
  await play({
    modelDir,
    callers: [...listeners].map(([name, { line }]): OfflineCaller => ({ track: trackOf(name, line.wire), media: () => line.media() })),
    // Without smoothing a point is its window's own posterior; which windows make points does not depend on it.
    smoothing: { alpha: 1 },
    decoderOf: (codec) => concealing(createDecoder(codec), concealment),
    onFrame: (track, frame) => {
      listeners.get(track.trackId)?.heard(frame);
    },
    onOutput: (output) => {
      if (output.kind === 'gap') throw new Error('Expected every window to be scored, got a gap');
      if (output.kind === 'segment') return;
      listeners.get(output.point.track.trackId)?.scored(output.point);
    },
    onPlayed: ({ trackId }) => {
      listeners.get(trackId)?.done();
      onPlayed();
    },
  });
  return [...listeners.values()].flatMap(({ clips }) => clips);
}

/** Takes down what is heard of one caller, and assigns it to the clips that the line has sent. */
class Listener {
  readonly line: Line;
  readonly clips: { clip: CorpusClip; framesBefore: number; windows: ClipWindow[] }[] = [];
  readonly #kept: readonly number[];
  /** By index of the clips sent: frames heard before it, and the frames of speech heard in it. */
  readonly #heard: { framesBefore: number; frames: number[] }[] = [];
  readonly #windows = new Map<number, ClipWindow[]>();
  #frames = 0;

  constructor(line: Line, kept: readonly number[]) {
    this.line = line;
    this.#kept = kept;
  }

  heard({ index, speech, concealed }: HeardFrame): void {
    const { sent } = this.line;
    while ((sent[this.#heard.length]?.startSample ?? Infinity) <= index * hopSamples) {
      this.#heard.push({ framesBefore: this.#frames, frames: [] });
    }
    if (!speech || concealed) return;
    this.#frames += 1;
    this.#heard.at(-1)?.frames.push(index);
  }

  scored({ endSample, probabilities, speechRatio, concealedRatio }: Point): void {
    const at = this.line.sent.findLastIndex(({ startSample }) => startSample < endSample);
    const lastFrame = (endSample - frameSamples) / hopSamples;
    const heardFrames = this.#heard[at]?.frames.filter((index) => index <= lastFrame).length ?? 0;
    const windows = this.#windows.get(at) ?? [];
    const own = normalised(this.#kept.map((index) => probabilities[index] ?? 0));
    windows.push({ probabilities: own, heardFrames, speechRatio, concealedRatio });
    this.#windows.set(at, windows);
  }

  /** Keeps what is to be scored, and forgets the rest. */
  done(): void {
    for (const [at, { clip, warmUp }] of this.line.sent.entries()) {
      if (warmUp) continue;
      this.clips.push({ clip, framesBefore: this.#heard[at]?.framesBefore ?? this.#frames, windows: this.#windows.get(at) ?? [] });
    }
    this.#heard.length = 0;
    this.#windows.clear();
  }
}

function normalised(values: readonly number[]): number[] {
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}
