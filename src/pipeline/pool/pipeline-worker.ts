// A pipeline thread: takes the packets of its callers and answers with speech and windows.
import { parentPort } from 'node:worker_threads';
import type { ThreadReply, ThreadRequest } from './messages.ts';
import { ThreadCallers } from './thread-callers.ts';

const port = parentPort;
if (port === null) throw new Error('Expected to be started as a worker thread');

const callers = new ThreadCallers((reply, transfer) => {
  port.postMessage(reply, transfer);
});
port.on('message', (request: ThreadRequest) => {
  callers.handle(request);
});
port.postMessage({ kind: 'ready' } satisfies ThreadReply);
