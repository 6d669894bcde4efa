// What the tests of src/models share: the tiny model, windows, and an engine that the test holds the reins of.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { UndertoneError } from '../../../src/errors.ts';
import type { SessionOptions } from '../../../src/models/open-session.ts';
import { featureCount, streamShape, type LoadedModel } from '../../../src/models/manifest.ts';
import type { Engine, EngineWindow, ModelManifest } from '../../../src/models/types.ts';
import type { FeatureBlock, FeatureWindow } from '../../../src/pipeline/types.ts';

export const tinyModelDir = fileURLToPath(new URL('../../fixtures/tiny-model/', import.meta.url));

export const tinyManifest: ModelManifest = {
  verdictPower: 0,
  pitchCount: 0,
  ...(JSON.parse(readFileSync(`${tinyModelDir}manifest.json`, 'utf8')) as Omit<ModelManifest, 'verdictPower' | 'pitchCount'>),
};

export const silentLogger = pino({ level: 'silent' });

/** Samples between two windows of the tiny model. */
export const hopSamples = tinyManifest.hopFrames * tinyManifest.hopSamples;

export function track(trackId: string, callId = 'call'): FeatureWindow['track'] {
  const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
  return { callId, participantId: `participant-of-${trackId}`, trackId, codec };
}

/** What an inference thread on the CPU is started with for a model. */
export function threadOf({ manifest, paths }: LoadedModel): SessionOptions & { readonly runtime: 'onnxruntime' } {
  const networks = { trunkPath: paths.trunk, headPath: paths.head, shape: streamShape(manifest) };
  return { runtime: 'onnxruntime', ...networks, executionProviders: ['cpu'], intraOpNumThreads: 1 };
}

export interface WindowOptions {
  readonly trackId?: string;
  readonly callId?: string;
  /** How many hops into the track it ends. */
  readonly hop?: number;
  /** Hops between windows that were in force. */
  readonly hopFactor?: number;
  readonly arrivalMs?: number;
  /** Value of every feature. {@link FakeEngine} answers with the class of this index. */
  readonly value?: number;
}

/** Stands for NaN, which a block cannot hold. */
const noNumber = -32_768;
const stepsPerValue = 100;

export function featureWindow(options: WindowOptions = {}): FeatureWindow {
  const { trackId = 'a', callId = 'call', hop = 1, hopFactor = 1, arrivalMs = 0, value = 0 } = options;
  const { windowFrames: frameCount, contextFrames, hopFrames } = tinyManifest;
  const block: FeatureBlock = {
    features: new Int16Array(hopFrames * featureCount).fill(Number.isNaN(value) ? noNumber : value * stepsPerValue),
    mask: new Float32Array(hopFrames).fill(1),
  };
  return {
    track: track(trackId, callId),
    startSample: Math.max(0, hop * hopSamples - frameCount * 160),
    endSample: hop * hopSamples,
    endFrame: hop * hopFrames,
    hopFrames: hopFactor * hopFrames,
    frameCount,
    contextFrames,
    featureCount,
    blocks: Array<FeatureBlock>(Math.ceil((contextFrames + frameCount) / hopFrames)).fill(block),
    speechRatio: 1,
    concealedRatio: 0,
    arrivalMs,
  };
}

/** Logits of the fake: this much for the class that the window asks for, else 0. */
export const fakeLogit = 6;

interface Held {
  readonly batch: readonly EngineWindow[];
  resolve(logits: Float32Array): void;
  reject(error: Error): void;
}

/** Holds each batch until the test answers it, or answers at once where `automatic`. */
export class FakeEngine implements Engine {
  readonly name = 'fake';
  readonly batches: (readonly EngineWindow[])[] = [];
  readonly released: string[] = [];
  automatic = false;
  ready = true;
  #held: Held[] = [];

  get held(): number {
    return this.#held.length;
  }

  run(batch: readonly EngineWindow[]): Promise<Float32Array> {
    this.batches.push(batch);
    if (this.automatic) return Promise.resolve(answer(batch));
    return new Promise((resolve, reject) => this.#held.push({ batch, resolve, reject }));
  }

  release(trackId: string): void {
    this.released.push(trackId);
  }

  /** Answers the oldest batch, and lets those who wait for it run. */
  async finish(): Promise<void> {
    const held = this.#held.shift();
    held?.resolve(answer(held.batch));
    await flushPromises();
  }

  /** Fails the oldest batch. */
  async fail(): Promise<void> {
    this.#held.shift()?.reject(new UndertoneError('UT_ENGINE_FAILED', 'failed on purpose'));
    await flushPromises();
  }

  close(): Promise<void> {
    this.ready = false;
    for (const held of this.#held.splice(0)) held.reject(new UndertoneError('UT_ENGINE_FAILED', 'closed'));
    return Promise.resolve();
  }
}

/** The value of each window of a batch, as {@link featureWindow} was given it. */
export function valuesOf(batch: readonly EngineWindow[] = []): number[] {
  return batch.map(({ blocks }) => {
    const value = blocks.at(-1)?.features[0] ?? noNumber;
    return value === noNumber ? NaN : value / stepsPerValue;
  });
}

/** Lets every promise callback that is due run; no timer. */
export async function flushPromises(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

function answer(batch: readonly EngineWindow[]): Float32Array {
  const classes = tinyManifest.labels.length;
  const logits = new Float32Array(batch.length * classes);
  for (const [row, value] of valuesOf(batch).entries()) {
    if (Number.isNaN(value)) logits.fill(NaN, row * classes, (row + 1) * classes);
    else logits[row * classes + (value % classes)] = fakeLogit;
  }
  return logits;
}
