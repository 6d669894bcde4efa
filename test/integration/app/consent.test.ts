// Who is measured: by their own word, by their role and by what the call is for; and what follows a change of mind.
import { afterEach, describe, expect, it } from 'vitest';
import type { ConsentState } from '../../../src/sfu/types.ts';
import { startCallers, type Callers } from '../../../tools/callers/callers.ts';
import { demoCast, readDemoManifest } from '../../../tools/callers/demo.ts';
import { Log } from '../../support/log.ts';
import { startApp, type Reader, type TestApp } from '../../support/server.ts';
import { SignalClient } from '../sfu/support.ts';

interface Person {
  readonly participantId: string;
  readonly role: string;
  readonly consent: ConsentState;
}

let server: TestApp;
let callers: Callers | undefined;

/** Opens a call in which these people speak, all at once, and reads it from its start. */
async function speak(callId: string, people: readonly Person[]): Promise<Reader> {
  const cast = demoCast(readDemoManifest(), people.length);
  const specs = [];
  for (const [index, person] of people.entries()) {
    const rtp = { ssrc: 5000 + index, payloadType: 100 };
    const remote = await server.app.sfu.addPlainParticipant({ callId, ...person, ...rtp, displayName: 'Someone', mimeType: 'audio/opus' });
    specs.push({ participantId: person.participantId, remote, ...rtp, clips: cast[index]?.clips ?? [], seed: index });
  }
  callers = await startCallers({ callers: specs });
  return await server.read(callId);
}

/** All that was inferred from a participant's voice after an event. */
function inferredAfter(reader: Reader, participantId: string, seq: number) {
  return reader.events.items.filter(
    (event) =>
      event.seq > seq &&
      'participantId' in event &&
      event.participantId === participantId &&
      event.type !== 'participant' &&
      event.type !== 'consent',
  );
}

afterEach(async () => {
  await callers?.stop();
  await server.close();
});

describe('consent', () => {
  it('denied or not given means no tap, and not one event of that voice', async () => {
    server = await startApp();
    const tapped: string[] = [];
    server.app.sfu.events$.subscribe((event) => {
      if (event.type === 'tapOpened') tapped.push(event.participant.participantId);
    });
    const reader = await speak('call', [
      { participantId: 'yes', role: 'guest', consent: 'granted' },
      { participantId: 'no', role: 'guest', consent: 'denied' },
      { participantId: 'silent-on-it', role: 'guest', consent: 'unknown' },
    ]);
    await reader.first('point', ({ participantId }) => participantId === 'yes');
    expect(tapped).toEqual(['yes']);
    expect(await server.metric('undertone_taps')).toBe(1);
    expect(inferredAfter(reader, 'no', 0)).toEqual([]);
    expect(inferredAfter(reader, 'silent-on-it', 0)).toEqual([]);
    expect(reader.all('consent')).toMatchObject([
      { participantId: 'yes', measured: true, reason: 'consented' },
      { participantId: 'no', measured: false, reason: 'consent-denied' },
      { participantId: 'silent-on-it', measured: false, reason: 'no-consent' },
    ]);
  });

  it('withdrawn in the middle of speech ends it at once, and granted again begins anew', async () => {
    server = await startApp();
    const reader = await speak('call', [
      { participantId: 'fickle', role: 'guest', consent: 'granted' },
      { participantId: 'steady', role: 'guest', consent: 'granted' },
    ]);
    const isFickle = ({ participantId }: { participantId: string }): boolean => participantId === 'fickle';
    // A point while they still speak: an end of speech may follow a point closely where the machine is busy.
    do await reader.next('point', isFickle);
    while (reader.all('speech', 'fickle').at(-1)?.state !== 'start');

    server.app.sfu.updateParticipant('call', 'fickle', { consent: 'withdrawn' });
    const withdrawn = await reader.next('consent', isFickle);
    expect(withdrawn).toMatchObject({ consent: 'withdrawn', measured: false, reason: 'consent-withdrawn' });
    expect(await server.metric('undertone_taps')).toBe(1);
    // Long enough for the rest of their utterance: the other, who is measured all the while, comes to the end of one.
    await reader.next('segment', ({ participantId }) => participantId === 'steady');
    await reader.next('point', ({ participantId }) => participantId === 'steady');
    expect(inferredAfter(reader, 'fickle', withdrawn.seq)).toEqual([]);

    server.app.sfu.updateParticipant('call', 'fickle', { consent: 'granted' });
    const granted = await reader.next('consent', isFickle);
    expect(granted).toMatchObject({ consent: 'granted', measured: true });
    const resumed = await reader.next('point', isFickle);
    expect(resumed.atMs).toBeGreaterThan(withdrawn.atMs);
    // Nothing that they said before is scored now.
    expect(resumed.startMs).toBeGreaterThanOrEqual(granted.atMs);
    expect(inferredAfter(reader, 'fickle', withdrawn.seq)[0]).toMatchObject({ type: 'speech', state: 'start' });
    const points = reader.all('point', 'fickle').map(({ atMs }) => atMs);
    expect(points).toEqual([...points].sort((a, b) => a - b));
    expect(reader.events.items.map(({ seq }) => seq)).toEqual(reader.events.items.map((_, index) => index + 1));
  });

  it('is taken through signalling too, where a client cannot claim another role than its token’s', async () => {
    server = await startApp({ policy: { profile: 'call-centre', purpose: 'support' } });
    const client = await SignalClient.connect(`${server.url.replace('http', 'ws')}/v1/signal`);
    const token = await server.app.tokens.issue({ call: 'call', scope: 'join', role: 'agent', sub: 'anna', ttlSeconds: 60 });
    const data = { token, callId: 'call', displayName: 'Anna', consent: 'granted' };
    expect(await client.ask('join', { ...data, role: 'customer' })).toMatchObject({ ok: false, error: { code: 'UT_AUTH_SCOPE' } });
    const joined = await client.request('join', data);
    expect(joined).toMatchObject({ participantId: 'anna', measured: false, reason: 'role-denied' });
    expect(await client.request('setConsent', { consent: 'withdrawn' })).toMatchObject({ measured: false, reason: 'role-denied' });
    const reader = await server.read('call');
    await reader.first('consent', ({ consent }) => consent === 'withdrawn');
    expect(reader.all('participant')).toMatchObject([{ participantId: 'anna', role: 'agent' }]);
    client.socket.terminate();
    await reader.first('end');
  });
});

describe('the policy', () => {
  const everyone: Person[] = [
    { participantId: 'customer', role: 'customer', consent: 'granted' },
    { participantId: 'agent', role: 'agent', consent: 'granted' },
    { participantId: 'guest', role: 'guest', consent: 'granted' },
    { participantId: 'student', role: 'student', consent: 'granted' },
  ];
  const told = (reader: Reader): Record<string, string> =>
    Object.fromEntries(reader.all('consent').map(({ participantId, measured, reason }) => [participantId, `${measured}: ${reason}`]));

  it.each([
    [
      { profile: 'call-centre', purpose: 'support' },
      { customer: 'true: consented', agent: 'false: role-denied', guest: 'false: role-denied', student: 'false: role-denied' },
    ],
    [
      { profile: 'call-centre', purpose: 'conversation' },
      {
        customer: 'false: purpose-denied',
        agent: 'false: purpose-denied',
        guest: 'false: purpose-denied',
        student: 'false: purpose-denied',
      },
    ],
    [
      { profile: 'eu-workplace', purpose: 'workplace', region: 'DE' },
      { customer: 'true: consented', agent: 'false: prohibited-eu', guest: 'false: prohibited-eu', student: 'false: prohibited-eu' },
    ],
    [
      { profile: 'eu-workplace', purpose: 'conversation', region: 'US' },
      { customer: 'true: consented', agent: 'false: role-denied', guest: 'true: consented', student: 'false: role-denied' },
    ],
    [
      { profile: 'personal', region: 'US' },
      { customer: 'true: consented', agent: 'true: consented', guest: 'true: consented', student: 'true: consented' },
    ],
  ])('of the configuration decides, with consent given: %j', async (policy, expected) => {
    server = await startApp({ policy });
    const tapped = new Log<string>();
    server.app.sfu.events$.subscribe((event) => {
      if (event.type === 'tapOpened') tapped.add(event.participant.participantId);
    });
    const reader = await speak('call', everyone);
    await reader.events.first(() => reader.all('consent').length === everyone.length);
    expect(told(reader)).toEqual(expected);
    const allowed = Object.entries(expected).flatMap(([who, word]) => (word.startsWith('true') ? [who] : []));
    await tapped.count(allowed.length);
    expect([...tapped.items].sort()).toEqual(allowed.sort());
    expect(await server.metric('undertone_taps')).toBe(allowed.length);
  });
});
