// One person's stay in a call: joining, what comes and goes, losing the connection and coming back.
import { connect, exponentialBackoff, type UndertoneClient } from '@undertone/client';
import type { TokenSource } from '../shared/access.ts';
import { isFinal, readable } from './explain.ts';
import { createMedia, type IncomingMedia, type Media } from './media.ts';
import { createRoster, type Person } from './roster.ts';
import { openSignaling, SignalError, type ProducerView, type Signaling, type SignalNotification } from './signaling.ts';

/** `joining` the first time, `reconnecting` after a loss; `left`, `ended` and `failed` are where a stay ends. */
export type Phase = 'joining' | 'joined' | 'reconnecting' | 'left' | 'ended' | 'failed';

/** What one chose in the lobby. */
export interface Choices {
  readonly callId: string;
  readonly displayName: string;
  readonly role: string | null;
  readonly consent: boolean;
  readonly microphone: MediaStreamTrack | null;
  readonly camera: MediaStreamTrack | null;
}

/** A stay in a call. Read its fields after each `changed`. */
export interface Session {
  readonly phase: Phase;
  /** Why the stay ended, is interrupted, or lacks something; for a person to read. */
  readonly message: string;
  /** Whether media is known to have ceased to flow. */
  readonly stalled: boolean;
  /** Oneself first, then in order of arrival. Empty before the first join. */
  readonly people: readonly Person[];
  /** What feeds the overlays; made anew with each join. */
  readonly client: UndertoneClient | null;
  readonly consent: boolean;
  /** Whether the server has yet to confirm a change of consent. */
  readonly consentPending: boolean;
  /** Takes effect for oneself at once; resolves when the server has confirmed it. Rejects if it could not. */
  setConsent(consent: boolean): Promise<void>;
  setMuted(muted: boolean): void;
  /** Starts, replaces or, with null, stops what is sent. */
  setTrack(source: ProducerView['source'], track: MediaStreamTrack | null): Promise<void>;
  leave(): void;
}

const retryDelayMs = exponentialBackoff({ baseMs: 800, maxMs: 10_000 });
/** Joins a call and stays until {@link Session.leave}. `changed` is called after whatever changes. */
export function joinCall(choices: Choices, token: TokenSource, changed: () => void): Session {
  const { callId, displayName } = choices;
  const tracks = { microphone: choices.microphone, camera: choices.camera };
  let phase: Phase = 'joining';
  let message = '';
  let stalled = false;
  let muted = false;
  let consent = choices.consent;
  let consentPending = false;
  let attempt = 0;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  const roster = createRoster();
  let signaling: Signaling | null = null;
  let media: Media | null = null;
  let client: UndertoneClient | null = null;
  // Producers that were announced before the device was ready.
  const early: string[] = [];
  // Counts joins, so that what an earlier one still does is told apart.
  let stay = 0;

  const over = (): boolean => phase === 'left' || phase === 'ended' || phase === 'failed';

  const tearDown = (): void => {
    stay += 1;
    clearTimeout(retryTimer);
    media?.close();
    signaling?.close();
    void client?.close();
    media = signaling = client = null;
    early.length = 0;
    consentPending = false;
    stalled = false;
  };

  const finish = (next: 'left' | 'ended' | 'failed', why: string): void => {
    if (over()) return;
    tearDown();
    phase = next;
    message = why;
    roster.reset(null, []);
    changed();
  };

  const interrupted = (why: string): void => {
    if (over()) return;
    tearDown();
    phase = phase === 'joining' ? 'joining' : 'reconnecting';
    message = why;
    retryTimer = setTimeout(start, retryDelayMs(attempt) ?? 0);
    attempt += 1;
    changed();
  };

  const start = (): void => {
    const mine = ++stay;
    enter(mine).catch((error: unknown) => {
      if (mine !== stay) return;
      if (isFinal(error)) finish('failed', readable(error));
      else interrupted(readable(error));
    });
  };

  const enter = async (mine: number): Promise<void> => {
    const accessToken = await token();
    const opened = await openSignaling(socketUrl('/v1/signal'), {
      notification: (notification) => {
        if (mine === stay) hear(notification);
      },
      closed: () => {
        if (mine === stay) interrupted('The connection was lost.');
      },
    });
    if (mine !== stay) {
      opened.close();
      return;
    }
    signaling = opened;
    const answer = await opened.request('join', {
      token: accessToken,
      callId,
      displayName,
      consent: consent ? 'granted' : 'denied',
      ...(choices.role === null ? {} : { role: choices.role }),
    });
    if (mine !== stay) return;
    const { participantId, measured, reason } = answer;
    roster.reset(
      { participantId, displayName, self: true, measured, reason, muted, audio: tracks.microphone, video: tracks.camera },
      answer.participants,
    );
    client = connect({ url: location.origin, token });
    phase = 'joined';
    message = '';
    attempt = 0;
    changed();

    const made = await createMedia(opened, answer.routerRtpCapabilities, {
      flowing: (flowing) => {
        if (mine !== stay) return;
        stalled = !flowing;
        changed();
      },
      broken: () => {
        if (mine === stay) interrupted('The media connection was lost.');
      },
    });
    if (mine !== stay) {
      made.close();
      return;
    }
    media = made;
    for (const source of ['microphone', 'camera'] as const) await publish(source);
    const producers = answer.participants.flatMap((view) => view.producers);
    await Promise.all(producers.map(({ producerId }) => take(producerId, mine)));
    for (const producerId of early.splice(0)) void take(producerId, mine);
  };

  const publish = async (source: ProducerView['source']): Promise<void> => {
    const track = tracks[source];
    if (media === null || track?.readyState !== 'live') return;
    try {
      await media.send(track, source);
      if (source === 'microphone' && muted) media.setMuted(true);
    } catch (error) {
      // A lost socket is told of by itself. Without this track the call goes on.
      if (error instanceof SignalError && error.code === 'closed') return;
      message = `Your ${source} could not be connected: ${readable(error)}`;
      changed();
    }
  };

  const take = async (producerId: string, mine: number): Promise<void> => {
    if (media === null) {
      early.push(producerId);
      return;
    }
    let incoming: IncomingMedia | null;
    try {
      incoming = await media.receive(producerId);
    } catch {
      // It closed meanwhile, or this browser cannot play it: the call goes on without.
      return;
    }
    if (mine !== stay || incoming === null) return;
    if (roster.received(incoming.participantId, producerId, incoming.track)) changed();
  };

  const hear = ({ event, data }: SignalNotification): void => {
    const mine = stay;
    switch (event) {
      case 'participantJoined':
        roster.joined(data);
        for (const { producerId } of data.producers) void take(producerId, mine);
        break;
      case 'participantLeft':
        roster.left(data.participantId);
        break;
      case 'newProducer':
        if (data.participantId === roster.self?.participantId) return;
        roster.produced(data);
        void take(data.producerId, mine);
        break;
      case 'producerClosed':
        media?.drop({ producerId: data.producerId });
        roster.closed(data.producerId);
        break;
      case 'producerPaused':
      case 'producerResumed':
        roster.paused(data.producerId, event === 'producerPaused');
        break;
      case 'consumerClosed':
        media?.drop({ consumerId: data.consumerId });
        break;
      case 'measurement':
        roster.measured(data.participantId, data);
        break;
      case 'callEnded':
        // Another of the same name may be opened; who wants it joins again.
        if (data.reason === 'media-worker-died') interrupted('The call was interrupted.');
        else finish('ended', 'The call is over.');
        return;
      default:
        return;
    }
    changed();
  };

  start();

  return {
    get phase() {
      return phase;
    },
    get message() {
      return message;
    },
    get stalled() {
      return stalled;
    },
    get people() {
      return roster.people();
    },
    get client() {
      return client;
    },
    get consent() {
      return consent;
    },
    get consentPending() {
      return consentPending;
    },
    async setConsent(next) {
      consent = next;
      // While the connection is down nothing of this person is measured, and the next join says what was chosen.
      if (signaling === null || phase !== 'joined') {
        changed();
        return;
      }
      const mine = stay;
      consentPending = true;
      changed();
      try {
        const answer = await signaling.request('setConsent', { consent: next ? 'granted' : 'withdrawn' });
        if (mine === stay && roster.self !== null) roster.measured(roster.self.participantId, answer);
      } catch (error) {
        // A withdrawal that did not get through must not stand as if it had: leave by force and come back without consent.
        if (mine === stay) interrupted('Your choice could not be confirmed.');
        throw error;
      } finally {
        if (mine === stay) {
          consentPending = false;
          changed();
        }
      }
    },
    setMuted(next) {
      muted = next;
      if (roster.self !== null) roster.self.muted = next;
      media?.setMuted(next);
      changed();
    },
    async setTrack(source, track) {
      media?.stop(source);
      tracks[source] = track;
      if (roster.self !== null) roster.self[source === 'microphone' ? 'audio' : 'video'] = track;
      changed();
      await publish(source);
    },
    leave() {
      if (over()) return;
      // The socket closes right after; the server takes that for leaving as well.
      signaling?.request('leave', {}).catch(() => undefined);
      finish('left', 'You left the call.');
    },
  };
}

function socketUrl(path: string): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`;
}
