// A process of its own in which an engine is tried before the server relies on it: what crashes here crashes alone.
import { messageOf } from '../errors.ts';
import { checkSession } from './check-session.ts';
import { compareSessions, type Comparison } from './compare-sessions.ts';
import { openSession, type SessionOptions } from './open-session.ts';

/** What the process is sent. */
export interface TrialRequest {
  readonly candidate: SessionOptions;
  /** The engine to hold it against. */
  readonly reference: SessionOptions;
  /** Callers in a batch. */
  readonly batch: number;
}

/** What it answers, once. */
export type TrialReply = ({ readonly kind: 'ran' } & Comparison) | { readonly kind: 'failed'; readonly message: string };

process.once('message', (request: TrialRequest) => {
  void answer(request);
});
// Nobody waits for the answer any more.
process.once('disconnect', () => process.exit());

async function answer(request: TrialRequest): Promise<void> {
  let reply: TrialReply;
  try {
    reply = { kind: 'ran', ...(await run(request)) };
  } catch (error) {
    reply = { kind: 'failed', message: messageOf(error) };
  }
  process.send?.(reply);
}

async function run({ candidate, reference, batch }: TrialRequest): Promise<Comparison> {
  const session = await openSession(candidate);
  await checkSession(session, candidate.shape);
  return compareSessions(session, await openSession(reference), candidate.shape, batch);
}
