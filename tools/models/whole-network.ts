// The model's network over whole windows, context and all, in the calling thread: what streaming is held against.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { featureCount, type LoadedModel } from '../../src/models/manifest.ts';
import { copyBlocks } from '../../src/models/stream-feed.ts';
import type { EngineWindow, ModelManifest } from '../../src/models/types.ts';

/** Whole windows: context and window of each, one after the other. */
export interface WholeBatch {
  readonly batch: number;
  /** `[batch][contextFrames + windowFrames][featureCount]` */
  readonly features: Float32Array;
  /** `[batch][contextFrames + windowFrames]` */
  readonly mask: Float32Array;
}

/** Runs `emonet.onnx` as it is, on one thread. */
export class WholeNetwork {
  readonly #network: InferenceSession;
  readonly #manifest: ModelManifest;

  private constructor(network: InferenceSession, manifest: ModelManifest) {
    this.#network = network;
    this.#manifest = manifest;
  }

  static async open({ manifest, paths }: LoadedModel): Promise<WholeNetwork> {
    const settings = { executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1 };
    return new WholeNetwork(await InferenceSession.create(paths.whole, settings), manifest);
  }

  /** The newest frames of each window's blocks. */
  gather(windows: readonly Pick<EngineWindow, 'blocks'>[]): WholeBatch {
    const { windowFrames, contextFrames, hopFrames } = this.#manifest;
    const frames = contextFrames + windowFrames;
    const features = new Float32Array(windows.length * frames * featureCount);
    const mask = new Float32Array(windows.length * frames);
    for (const [row, { blocks }] of windows.entries()) {
      const all = blocks.length * hopFrames;
      const [allFeatures, allMask] = [new Float32Array(all * featureCount), new Float32Array(all)];
      copyBlocks(blocks, hopFrames, allFeatures, allMask);
      features.set(allFeatures.subarray((all - frames) * featureCount), row * frames * featureCount);
      mask.set(allMask.subarray(all - frames), row * frames);
    }
    return { batch: windows.length, features, mask };
  }

  /** Logits, `[batch][labels]`. */
  async run({ batch, features, mask }: WholeBatch): Promise<Float32Array> {
    const { windowFrames, contextFrames } = this.#manifest;
    const frames = contextFrames + windowFrames;
    const { logits } = await this.#network.run({
      features: new Tensor('float32', features, [batch, frames, featureCount]),
      mask: new Tensor('float32', mask, [batch, frames]),
    });
    if (!(logits?.data instanceof Float32Array)) throw new Error('Expected `logits` to be float32');
    return logits.data;
  }

  close(): Promise<void> {
    return this.#network.release();
  }
}
