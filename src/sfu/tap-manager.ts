// Keeps exactly the taps that the policy allows: decides for each participant, opens, moves and closes.
import { Subject, type Observable } from 'rxjs';
import { systemClock, type Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';
import type { TapEvent } from './events.ts';
import type { HostRouter } from './host.ts';
import { mediaFailed } from './media-error.ts';
import type { RtpIntake } from './rtp-intake.ts';
import { openTap, type ObservableTap } from './tap.ts';
import type { CallInfo, ClosedReason, Decide, Decision, ParticipantInfo } from './types.ts';

/** What a {@link TapManager} needs. */
export interface TapManagerOptions {
  /** Asked whenever a participant's role or consent changes. Where it throws, the answer is no. */
  readonly decide: Decide;
  /** Stamps the packets. @default systemClock */
  readonly clock?: Clock;
  /** By which packets come. @default none: mediasoup's channel */
  readonly intake?: RtpIntake | undefined;
}

type ParticipantKey = Pick<ParticipantInfo, 'callId' | 'participantId'>;

interface OpenTap {
  readonly producerId: string;
  readonly abort: AbortController;
  tap?: ObservableTap;
}

interface Entry {
  info: ParticipantInfo;
  readonly call: CallInfo;
  readonly router: HostRouter;
  /** Microphones, oldest first; the newest is measured. */
  producerIds: string[];
  decision: Decision;
  current: OpenTap | undefined;
}

/**
 * The plugin's heart, for any host of mediasoup: told who is in which call and which microphones they have, it
 * keeps one tap for each participant whom the policy allows, and none for any other. Closing is synchronous:
 * once `updateParticipant` returns a denial, no packet of that participant is delivered any more.
 */
export class TapManager {
  readonly #decide: Decide;
  readonly #clock: Clock;
  readonly #intake: RtpIntake | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #events = new Subject<TapEvent>();
  #closed = false;

  constructor(options: TapManagerOptions) {
    this.#decide = options.decide;
    this.#clock = options.clock ?? systemClock;
    this.#intake = options.intake;
  }

  /** Hot; completes on `close()`. */
  get events$(): Observable<TapEvent> {
    return this.#events.asObservable();
  }

  /** Taps open now. */
  get openTaps(): number {
    return [...this.#entries.values()].filter((entry) => entry.current?.tap !== undefined).length;
  }

  /** What the policy says of someone who is in no call yet. Changes nothing. */
  ask(info: ParticipantInfo, call: CallInfo): Decision {
    return this.#ask(info, call);
  }

  /** Decides on a new participant. @throws UndertoneError UT_REQUEST_INVALID if it is known already. */
  addParticipant(info: ParticipantInfo, call: CallInfo, router: HostRouter): Decision {
    if (this.#closed) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected an open tap manager, got a closed one');
    if (this.#entries.has(keyOf(info))) {
      throw new UndertoneError(
        'UT_REQUEST_INVALID',
        `Expected a new participant, got \`${info.participantId}\`, who is in the call already`,
      );
    }
    const entry: Entry = { info, call, router, producerIds: [], decision: this.#ask(info, call), current: undefined };
    this.#entries.set(keyOf(info), entry);
    this.#emitDecision(entry);
    return entry.decision;
  }

  /** Decides anew after a change of role or consent. Where the answer is no, the tap is closed on return. */
  updateParticipant(info: ParticipantInfo): Decision {
    const entry = this.#entryOf(info);
    const before = { info: entry.info, decision: entry.decision };
    entry.info = info;
    entry.decision = this.#ask(info, entry.call);
    if (!entry.decision.allow) this.#sync(entry, 'owner');
    const changed =
      before.decision.allow !== entry.decision.allow ||
      before.decision.reason !== entry.decision.reason ||
      before.info.consent !== info.consent ||
      before.info.role !== info.role;
    if (changed) this.#emitDecision(entry);
    this.#sync(entry, 'owner');
    return entry.decision;
  }

  /** The standing decision. @throws UndertoneError UT_REQUEST_INVALID if the participant is unknown. */
  decisionOf(participant: ParticipantKey): Decision {
    return this.#entryOf(participant).decision;
  }

  /** Packets that a participant's tap has handed on so far; 0 where there is none. */
  packetsOf(participant: ParticipantKey): number {
    return this.#entries.get(keyOf(participant))?.current?.tap?.packets ?? 0;
  }

  /** Closes a participant's tap and forgets them. Unknown participants are ignored. */
  removeParticipant(participant: ParticipantKey): void {
    const entry = this.#entries.get(keyOf(participant));
    if (entry === undefined) return;
    this.#entries.delete(keyOf(participant));
    this.#closeCurrent(entry, 'source');
  }

  /** Tells of a new microphone, which is the one to be measured from now on. */
  addProducer(participant: ParticipantKey, producerId: string): void {
    const entry = this.#entryOf(participant);
    entry.producerIds = [...entry.producerIds.filter((id) => id !== producerId), producerId];
    this.#sync(entry, 'owner');
  }

  /** Tells that a microphone is gone; the newest of the remaining ones is measured instead. */
  removeProducer(participant: ParticipantKey, producerId: string): void {
    const entry = this.#entries.get(keyOf(participant));
    if (entry === undefined) return;
    entry.producerIds = entry.producerIds.filter((id) => id !== producerId);
    this.#sync(entry, 'source');
  }

  /** Closes every tap and completes `events$`. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const entry of this.#entries.values()) this.#closeCurrent(entry, 'owner');
    this.#entries.clear();
    this.#events.complete();
  }

  #ask(info: ParticipantInfo, call: CallInfo): Decision {
    try {
      return this.#decide(info, call);
    } catch {
      // A policy that cannot decide has not allowed.
      return { allow: false, reason: 'policy-failed' };
    }
  }

  #emitDecision(entry: Entry): void {
    this.#events.next({ type: 'decision', participant: entry.info, call: entry.call, decision: entry.decision });
  }

  #sync(entry: Entry, closeReason: ClosedReason): void {
    const wanted = entry.decision.allow ? entry.producerIds.at(-1) : undefined;
    if (entry.current?.producerId === wanted) return;
    this.#closeCurrent(entry, closeReason);
    if (wanted !== undefined) void this.#open(entry, wanted);
  }

  #closeCurrent(entry: Entry, reason: ClosedReason): void {
    const current = entry.current;
    entry.current = undefined;
    current?.abort.abort();
    current?.tap?.close(reason);
  }

  async #open(entry: Entry, producerId: string): Promise<void> {
    const current: OpenTap = { producerId, abort: new AbortController() };
    entry.current = current;
    try {
      const owner = { callId: entry.info.callId, participantId: entry.info.participantId };
      const tap = await openTap(entry.router, producerId, owner, {
        clock: this.#clock,
        intake: this.#intake,
        signal: current.abort.signal,
      });
      if (current.abort.signal.aborted) {
        tap.close('owner');
        return;
      }
      current.tap = tap;
      this.#events.next({ type: 'tapOpened', tap, participant: entry.info });
      tap.closed$.subscribe((reason) => {
        this.#onTapClosed(entry, current, tap, reason);
      });
    } catch (error) {
      if (entry.current !== current) return;
      entry.current = undefined;
      this.#events.next({ type: 'tapFailed', participant: entry.info, producerId, error: mediaFailed('a tap', error) });
    }
  }

  #onTapClosed(entry: Entry, current: OpenTap, tap: ObservableTap, reason: ClosedReason): void {
    if (entry.current === current) entry.current = undefined;
    this.#events.next({ type: 'tapClosed', track: tap.track, reason });
    // The host's own word that the producer is gone may come later than the media worker's.
    if (reason === 'source' && this.#entries.get(keyOf(entry.info)) === entry && entry.producerIds.includes(current.producerId)) {
      this.removeProducer(entry.info, current.producerId);
    }
  }

  #entryOf(participant: ParticipantKey): Entry {
    const entry = this.#entries.get(keyOf(participant));
    if (entry === undefined) {
      throw new UndertoneError('UT_REQUEST_INVALID', `Expected a participant of the call, got \`${participant.participantId}\``);
    }
    return entry;
  }
}

function keyOf(participant: ParticipantKey): string {
  // Neither id is restricted by a host, so the pair is encoded, not joined.
  return JSON.stringify([participant.callId, participant.participantId]);
}
