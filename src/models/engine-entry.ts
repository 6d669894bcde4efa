// What a kind of engine is to those who choose one.
import type { Logger } from '../log.ts';
import type { LoadedModel } from './manifest.ts';
import type { Engine } from './types.ts';

/** Engines that configuration may name, in the order in which `auto` tries them. */
export const engineNames = ['cuda', 'webgpu', 'tfjs-gpu', 'cpu'] as const;

/**
 * What the CPU engine may compute in: 16-bit integers, on our own kernel, where it knows the network; the head in 8-bit ones, where the model has
 * such a head; 32-bit floats.
 */
export const precisions = ['int16', 'int8', 'fp32'] as const;

/** What an engine is made from. */
export interface EngineContext extends LoadedModel {
  /** Threads that one session may use within an operator, on the CPU. */
  readonly intraOpNumThreads: number;
  readonly precision: (typeof precisions)[number];
  /** Whether our own kernel may use what was compiled for this processor. */
  readonly native: boolean;
  /** Windows in a full batch. */
  readonly maxBatch: number;
  /** Whether configuration asks for this engine and no other. */
  readonly pinned: boolean;
  readonly logger: Logger;
  /** As {@link ThreadEngineOptions.bell}. */
  readonly bell?: SharedArrayBuffer | undefined;
}

/** A kind of engine. All of its calls reject with UT_ENGINE_UNAVAILABLE where this machine cannot run it. */
export interface EngineEntry {
  readonly name: string;
  /** What a machine must have, as it follows "It needs". */
  readonly needs?: string;
  /** Threads that it may run in side by side. @default as many as are asked for */
  readonly maxThreads?: number;
  /** Finds out whether it may be created, before it is. */
  prepare?(context: EngineContext): Promise<void>;
  /** Called several times, for engines that run side by side. */
  create(context: EngineContext): Promise<Engine>;
}
