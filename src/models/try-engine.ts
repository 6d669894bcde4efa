// Has an engine tried in a process of its own, and judges what comes back.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UndertoneError } from '../errors.ts';
import type { Comparison } from './compare-sessions.ts';
import type { TrialReply, TrialRequest } from './engine-trial.ts';

/** Options of {@link tryEngine}. */
export interface TrialOptions extends TrialRequest {
  /** Time for all of it: loading, compiling, proving, timing. */
  readonly timeoutMs: number;
  /** The process's program. @default engine-trial.ts */
  readonly program?: URL;
}

/** Greatest difference to the reference that an engine may show. */
export const maxDifference = 1e-4;
const program = new URL('./engine-trial.ts', import.meta.url);
/** How much of what the libraries print is kept: the last of it. */
const maxPrinted = 8192;

/**
 * Runs the trial. Rejects with UT_ENGINE_UNAVAILABLE and the reason where the engine does not load, is not what the model
 * says, gives other scores than the reference, crashes, or takes too long.
 */
export async function tryEngine(options: TrialOptions): Promise<Comparison> {
  const reply = await ask(options);
  if (reply.kind === 'failed') throw unavailable(reply.message);
  const { difference, candidateMs, referenceMs } = reply;
  if (difference <= maxDifference) return { difference, candidateMs, referenceMs };
  throw unavailable(
    `Expected its scores to be the CPU engine's to ${String(maxDifference)}, got ones that differ by ${difference.toExponential(1)}`,
  );
}

function ask({ candidate, reference, batch, timeoutMs, program: named = program }: TrialOptions): Promise<TrialReply> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(named), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
    let printed = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-maxPrinted);
    });
    let reply: TrialReply | undefined;
    const timer = setTimeout(() => {
      reply ??= { kind: 'failed', message: `Expected its trial to end within ${String(timeoutMs)} ms, got no answer` };
      child.kill('SIGKILL');
    }, timeoutMs);
    child.once('message', (message: TrialReply) => {
      reply ??= message;
      // It has nothing to tidy up that its end would not.
      child.kill('SIGKILL');
    });
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(unavailable(`Expected its trial to start, got: ${error.message}`, error));
    });
    // After `close`, all that was printed is here, and what the engine held on the GPU is free.
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      reply ??= { kind: 'failed', message: `Expected its trial to end well, got a crash: ${signal ?? `exit code ${String(code)}`}` };
      resolve(reply.kind === 'failed' ? { ...reply, message: readable(reply.message, printed) } : reply);
    });
    child.send({ candidate, reference, batch } satisfies TrialRequest);
  });
}

/**
 * The reason in a runtime's message. It says where in its source a check failed before it says which; and of a library that
 * does not load it throws no more than that, and prints which one it is and what it lacks.
 */
function readable(message: string, printed: string): string {
  const short = message.replace(/^\S*onnxruntime_src\S* .* was false\.\s*/s, '').trim();
  const [, library] = /with error: ([^\n]+)/.exec(printed) ?? [];
  return library === undefined ? short : `${short} (${library.trim()})`;
}

function unavailable(message: string, cause?: unknown): UndertoneError {
  return new UndertoneError('UT_ENGINE_UNAVAILABLE', message, { cause });
}
