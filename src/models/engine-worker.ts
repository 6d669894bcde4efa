// The inference thread: one onnxruntime session that answers batches one after another.
/// <reference lib="es2024.arraybuffer" />
import { parentPort, workerData } from 'node:worker_threads';
import type * as onnxruntime from 'onnxruntime-node';

/** What the thread is started with. */
export interface EngineThreadData {
  readonly onnxPath: string;
  readonly executionProviders: readonly string[];
  readonly intraOpNumThreads: number;
}

/** Messages to the thread. The arrays of `run` are transferred. */
export type EngineRequest =
  | {
      readonly kind: 'run';
      readonly id: number;
      readonly batch: number;
      readonly frameCount: number;
      readonly featureCount: number;
      readonly features: Float32Array<ArrayBuffer>;
      readonly mask: Float32Array<ArrayBuffer>;
    }
  | { readonly kind: 'close' };

/** Messages from the thread; the first is `ready` or `unavailable`. The logits are transferred. */
export type EngineReply =
  | { readonly kind: 'ready'; readonly inputs: readonly string[]; readonly outputs: readonly string[] }
  | { readonly kind: 'unavailable'; readonly message: string }
  | { readonly kind: 'result'; readonly id: number; readonly logits: Float32Array; readonly shape: readonly number[] }
  | { readonly kind: 'error'; readonly id: number; readonly message: string };

type Runtime = typeof onnxruntime;
type RunRequest = Extract<EngineRequest, { kind: 'run' }>;

const port = parentPort;
if (port === null) throw new Error('Expected to be started as a worker thread');

try {
  // Loaded here and not above, so that a library that is missing on this machine becomes a message.
  const runtime = await import('onnxruntime-node');
  await serve(runtime, workerData as EngineThreadData);
} catch (error) {
  reply({ kind: 'unavailable', message: messageOfThrown(error) });
  port.close();
}

async function serve(runtime: Runtime, data: EngineThreadData): Promise<void> {
  const session = await runtime.InferenceSession.create(data.onnxPath, {
    executionProviders: [...data.executionProviders],
    intraOpNumThreads: data.intraOpNumThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
  });
  // Batches are answered in the order in which they came, also should `session.run` ever give up its thread.
  let last: Promise<void> = Promise.resolve();
  port?.on('message', (request: EngineRequest) => {
    last = last.then(async () => {
      if (request.kind === 'close') {
        await session.release();
        port.close();
      } else {
        await answer(runtime, session, request);
      }
    });
  });
  reply({ kind: 'ready', inputs: session.inputNames, outputs: session.outputNames });
}

async function answer(runtime: Runtime, session: onnxruntime.InferenceSession, request: RunRequest): Promise<void> {
  const { id, batch, frameCount, featureCount } = request;
  try {
    const features = new runtime.Tensor('float32', request.features, [batch, frameCount, featureCount]);
    const mask = new runtime.Tensor('float32', request.mask, [batch, frameCount]);
    const { logits } = await session.run({ features, mask });
    if (logits === undefined || !(logits.data instanceof Float32Array)) throw new Error('Expected `logits` to be float32');
    // Copied: memory that the runtime owns must not leave this thread.
    const copy = logits.data.slice();
    reply({ kind: 'result', id, logits: copy, shape: logits.dims }, [copy.buffer]);
  } catch (error) {
    reply({ kind: 'error', id, message: messageOfThrown(error) });
  } finally {
    // Freed now: this thread makes so little garbage of its own that its collector would let megabytes pile up.
    request.features.buffer.transfer(0);
    request.mask.buffer.transfer(0);
  }
}

function reply(message: EngineReply, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

function messageOfThrown(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
