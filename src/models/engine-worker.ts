// The inference thread: the streams of its tracks over one session, which answers batches one after another.
/// <reference lib="es2024.arraybuffer" />
import { parentPort, workerData } from 'node:worker_threads';
import { ringBell } from '../bell.ts';
import { messageOf, UndertoneError } from '../errors.ts';
import { checkSession } from './check-session.ts';
import { openSession, type SessionOptions } from './open-session.ts';
import { Streams } from './streams.ts';
import type { PackedBatch } from './stream-feed.ts';

/** What the thread is started with. */
export interface EngineThreadData {
  readonly session: SessionOptions;
  /** Rung with each answer, where there is one. */
  readonly bell: SharedArrayBuffer | undefined;
}

/** Messages to the thread, handled in order. The arrays of `run` are transferred. */
export type EngineRequest =
  | { readonly kind: 'run'; readonly id: number; readonly batch: PackedBatch }
  | { readonly kind: 'release'; readonly trackId: string }
  | { readonly kind: 'close' };

/** Messages from the thread; the first is `ready` or `unavailable`. The logits are transferred. */
export type EngineReply =
  | { readonly kind: 'ready'; readonly detail?: string | undefined }
  | { readonly kind: 'unavailable'; readonly code: 'UT_ENGINE_UNAVAILABLE' | 'UT_MODEL_INVALID'; readonly message: string }
  | { readonly kind: 'result'; readonly id: number; readonly logits: Float32Array }
  | { readonly kind: 'error'; readonly id: number; readonly message: string };

type RunRequest = Extract<EngineRequest, { kind: 'run' }>;

const port = parentPort;
if (port === null) throw new Error('Expected to be started as a worker thread');

try {
  await serve(workerData as EngineThreadData);
} catch (error) {
  const invalid = error instanceof UndertoneError && error.code === 'UT_MODEL_INVALID';
  reply({ kind: 'unavailable', code: invalid ? 'UT_MODEL_INVALID' : 'UT_ENGINE_UNAVAILABLE', message: messageOf(error) });
  port.close();
}

async function serve({ session: options, bell: memory }: EngineThreadData): Promise<void> {
  const session = await openSession(options);
  await checkSession(session, options.shape);
  const streams = new Streams(session, options.shape);
  const bell = memory === undefined ? null : new Int32Array(memory);
  // One after another, and in the order in which they came, also should a session ever give up its thread.
  let last: Promise<void> = Promise.resolve();
  port?.on('message', (request: EngineRequest) => {
    last = last.then(async () => {
      if (request.kind === 'run') {
        await answer(streams, request);
        if (bell !== null) ringBell(bell);
      } else if (request.kind === 'release') {
        streams.release(request.trackId);
      } else {
        await session.close();
        port.close();
      }
    });
  });
  reply({ kind: 'ready', detail: session.detail });
}

async function answer(streams: Streams, { id, batch }: RunRequest): Promise<void> {
  try {
    // Copied: memory that the runtime owns must not leave this thread.
    const logits = (await streams.run(batch)).slice();
    reply({ kind: 'result', id, logits }, [logits.buffer]);
  } catch (error) {
    reply({ kind: 'error', id, message: messageOf(error) });
  } finally {
    // Freed now: this thread makes so little garbage of its own that its collector would let megabytes pile up.
    batch.features.buffer.transfer(0);
    batch.mask.buffer.transfer(0);
  }
}

function reply(message: EngineReply, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}
