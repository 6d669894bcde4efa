// What is left when many have come and gone, and what the logs say of them.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { plainParticipant, startServer, token } from './support.ts';

let server: Awaited<ReturnType<typeof startServer>>;
afterEach(async () => {
  await server.close();
});

/** What keeps the event loop alive, by kind. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

it('leaves nothing behind of 300 tracks that came and went', async () => {
  server = await startServer();
  await server.sfu.addPlainParticipant(plainParticipant('stays', 'resident'));
  await server.tapOf('resident');
  const router = server.sfu.router('stays');
  const before = { dump: await router?.dump(), resources: resources() };
  for (let round = 0; round < 300; round += 1) {
    const id = `visitor-${String(round)}`;
    // Every other visitor opens, and so ends, a call of their own.
    const callId = round % 2 === 0 ? 'stays' : id;
    await server.sfu.addPlainParticipant(plainParticipant(callId, id));
    // Some leave while their tap is being opened.
    if (round % 3 !== 0) await server.tapOf(id);
    server.sfu.removeParticipant(callId, id);
  }
  const opened = server.events.items.filter(({ type }) => type === 'tapOpened').length;
  expect(opened).toBeGreaterThanOrEqual(201);
  expect(server.events.items.filter(({ type }) => type === 'tapClosed')).toHaveLength(opened - 1);
  expect(server.sfu.calls).toMatchObject([{ call: { callId: 'stays' }, participants: [{ participantId: 'resident' }] }]);
  // Consumers of those who left early are closed as soon as the worker has made them.
  await expect.poll(async () => await router?.dump()).toEqual(before.dump);
  // A leak would show 300 times, or 100. The test runner's own timers come and go.
  for (const [kind, count] of Object.entries(resources())) expect(count, kind).toBeLessThan((before.resources[kind] ?? 0) + 10);
  for (const name of ['undertone_calls', 'undertone_participants', 'undertone_taps']) {
    expect(await server.metrics.registry.getSingleMetricAsString(name)).toMatch(/ 1$/m);
  }
});

it('names nobody in logs, events and metrics', async () => {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString('utf8'));
      done();
    },
  });
  server = await startServer({ logger: pino({ level: 'debug' }, sink) });
  const secret = 'Rumpelstilzchen';
  const client = await server.connect();
  await client.join('call', { displayName: secret, token: token({ sub: 'p1' }) });
  await client.refusal('join', { displayName: secret, consent: 1 });
  await client.refusal('createTransport', { displayName: secret });
  await server.sfu.addPlainParticipant(plainParticipant('call', 'p2', { displayName: secret }));
  await server.tapOf('p2');
  process.kill(server.sfu.workerPids[0] ?? 0, 'SIGKILL');
  await server.event('callClosed');
  expect(lines.join('')).toMatch(/Call opened[^]*A media worker died/);
  expect(lines.join('')).not.toContain(secret);
  expect(lines.join('')).not.toContain(token({ sub: 'p1' }));
  expect(JSON.stringify(server.events.items.map((event) => ({ ...event, tap: undefined })))).not.toContain(secret);
  expect(await server.metrics.registry.metrics()).not.toMatch(new RegExp(`${secret}|p1|p2`));
});
