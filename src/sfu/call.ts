// One call: a Router and its participants; who joins, leaves and speaks is told to the others.
import type { types } from 'mediasoup';
import { UndertoneError } from '../errors.ts';
import type { CallClosedReason, SfuEvent } from './events.ts';
import type { SfuLimits } from './limits.ts';
import { Participant, type ParticipantCall } from './participant.ts';
import type { Notify, ParticipantView, ProducerView, SignalNotification } from './signaling-messages.ts';
import type { TapManager } from './tap-manager.ts';
import type { CallInfo, ConsentState, Decision, ParticipantInfo } from './types.ts';
import type { MediaWorker } from './worker-pool.ts';

/** What a call is made from. */
export interface CallOptions {
  readonly info: CallInfo;
  readonly router: types.Router;
  /** Acquired for this call, which gives it back when it ends. */
  readonly mediaWorker: MediaWorker;
  readonly taps: TapManager;
  readonly limits: SfuLimits;
  /** How long a call without participants is kept. */
  readonly emptyCallLingerMs: number;
  readonly emit: (event: SfuEvent) => void;
  /** Called once, before the call's own events say so. */
  readonly onClosed: (call: Call) => void;
}

/** Someone who wants to join. */
export interface Seat {
  readonly participantId: string;
  readonly displayName: string;
  readonly role: string;
  readonly consent: ConsentState;
  readonly notify: Notify;
  /** Where given, a later seat of the same id that has it too takes this one's place, and this is called. */
  readonly onReplaced?: () => void;
}

/** A call on this node. Everything in it is synchronous; media operations are the participants' own. */
export class Call implements ParticipantCall {
  readonly info: CallInfo;
  readonly router: types.Router;
  readonly mediaWorker: MediaWorker;
  readonly limits: SfuLimits;
  readonly #taps: TapManager;
  readonly #emptyCallLingerMs: number;
  readonly #emit: (event: SfuEvent) => void;
  readonly #onClosed: (call: Call) => void;
  readonly #participants = new Map<string, Participant>();
  #lingerTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CallOptions) {
    this.info = options.info;
    this.router = options.router;
    this.mediaWorker = options.mediaWorker;
    this.limits = options.limits;
    this.#taps = options.taps;
    this.#emptyCallLingerMs = options.emptyCallLingerMs;
    this.#emit = options.emit;
    this.#onClosed = options.onClosed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get webRtcServer(): types.WebRtcServer {
    return this.mediaWorker.webRtcServer;
  }

  /** Everyone in the call. */
  get participants(): readonly Participant[] {
    return [...this.#participants.values()];
  }

  participant(participantId: string): Participant | undefined {
    return this.#participants.get(participantId);
  }

  /** @throws UndertoneError UT_SERVER_OVERLOADED where the call is full, UT_REQUEST_INVALID where the id is taken or the call is over. */
  addParticipant(seat: Seat): Participant {
    if (this.#closed) {
      throw new UndertoneError('UT_REQUEST_INVALID', 'Expected a call that goes on, got one that ended', { retryable: true });
    }
    if (this.#participants.has(seat.participantId)) {
      throw new UndertoneError(
        'UT_REQUEST_INVALID',
        `Expected a new participant id, got \`${seat.participantId}\`, which is in the call already`,
      );
    }
    if (this.#participants.size >= this.limits.maxParticipantsPerCall) {
      const limit = String(this.limits.maxParticipantsPerCall);
      throw new UndertoneError('UT_SERVER_OVERLOADED', `Expected at most ${limit} participants in a call, got one more`, {
        retryable: true,
      });
    }
    clearTimeout(this.#lingerTimer);
    const info: ParticipantInfo = { callId: this.info.callId, participantId: seat.participantId, role: seat.role, consent: seat.consent };
    const participant = new Participant(info, seat, this);
    this.#emit({ type: 'participantJoined', participant: info });
    // Decided before the others know: their first sight of the participant carries the decision.
    this.#taps.addParticipant(info, this.info, this.router);
    this.#participants.set(seat.participantId, participant);
    this.mediaWorker.load += 1;
    this.#broadcast({ event: 'participantJoined', data: this.viewOf(participant) }, participant);
    return participant;
  }

  /** Removes a participant and all their media, at once. */
  removeParticipant(participant: Participant): void {
    if (this.#participants.get(participant.info.participantId) !== participant) return;
    this.#drop(participant);
    this.#broadcast({ event: 'participantLeft', data: { participantId: participant.info.participantId } });
    this.endIfEmpty();
  }

  /** Takes a new consent or role into account. Where measuring ends, no packet is delivered after this returns. */
  updateParticipant(participant: Participant, change: { readonly consent?: ConsentState; readonly role?: string }): Decision {
    if (participant.closed) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected a participant of the call, got one who left');
    const before = this.#taps.decisionOf(participant.info);
    participant.info = { ...participant.info, ...change };
    const decision = this.#taps.updateParticipant(participant.info);
    if (before.allow !== decision.allow || before.reason !== decision.reason) {
      const { participantId } = participant.info;
      this.#broadcast({ event: 'measurement', data: { participantId, measured: decision.allow, reason: decision.reason } });
    }
    return decision;
  }

  decisionOn(participant: Participant): Decision {
    return this.#taps.decisionOf(participant.info);
  }

  /** A participant as the others see them. */
  viewOf(participant: Participant): ParticipantView {
    const decision = this.decisionOn(participant);
    return {
      participantId: participant.info.participantId,
      displayName: participant.displayName,
      role: participant.info.role,
      measured: decision.allow,
      reason: decision.reason,
      producers: participant.producers,
    };
  }

  /** Ends the call where nobody is in it, at once or after the time that empty calls are kept. */
  endIfEmpty(): void {
    if (this.#closed || this.#participants.size > 0) return;
    clearTimeout(this.#lingerTimer);
    if (this.#emptyCallLingerMs <= 0) {
      this.close('empty');
      return;
    }
    this.#lingerTimer = setTimeout(() => {
      this.close('empty');
    }, this.#emptyCallLingerMs);
    this.#lingerTimer.unref();
  }

  /** Ends the call for everyone. Safe to call twice. */
  close(reason: CallClosedReason): void {
    if (this.#closed) return;
    this.#broadcast({ event: 'callEnded', data: { reason } });
    this.#closed = true;
    clearTimeout(this.#lingerTimer);
    this.#onClosed(this);
    for (const participant of this.participants) this.#drop(participant);
    this.mediaWorker.load -= 1;
    this.router.close();
    this.#emit({ type: 'callClosed', call: this.info, reason });
  }

  findProducer(producerId: string, except: Participant): { readonly owner: Participant; readonly producer: types.Producer } | undefined {
    for (const owner of this.#participants.values()) {
      const producer = owner === except ? undefined : owner.producer(producerId);
      if (producer !== undefined) return { owner, producer };
    }
    return undefined;
  }

  onProducerAdded(owner: Participant, producer: ProducerView): void {
    if (producer.kind === 'audio') this.#taps.addProducer(owner.info, producer.producerId);
    this.#broadcast({ event: 'newProducer', data: { participantId: owner.info.participantId, ...producer } }, owner);
  }

  onProducerClosed(owner: Participant, producer: ProducerView): void {
    if (producer.kind === 'audio') this.#taps.removeProducer(owner.info, producer.producerId);
    this.#broadcast({ event: 'producerClosed', data: { producerId: producer.producerId } }, owner);
  }

  onProducerPaused(owner: Participant, producerId: string, paused: boolean): void {
    this.#broadcast({ event: paused ? 'producerPaused' : 'producerResumed', data: { producerId } }, owner);
  }

  #drop(participant: Participant): void {
    // The tap goes before the media does, so that its last packet was the participant's, not a teardown's.
    this.#taps.removeParticipant(participant.info);
    this.#participants.delete(participant.info.participantId);
    this.mediaWorker.load -= 1;
    participant.close();
    this.#emit({ type: 'participantLeft', participant: participant.info });
  }

  #broadcast(notification: SignalNotification, except?: Participant): void {
    // `callEnded` is the last that anyone hears of a call, not the teardown of each participant in it.
    if (this.#closed) return;
    for (const participant of this.#participants.values()) {
      if (participant !== except) participant.notify(notification);
    }
  }
}
