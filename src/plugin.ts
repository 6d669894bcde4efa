// The plugin for hosts with a mediasoup of their own: told who is in which call, it measures whom the policy allows.
import { systemClock, type Clock } from './clock.ts';
import { UndertoneError } from './errors.ts';
import type { Gateway } from './gateway/gateway.ts';
import { createLogger, type Logger } from './log.ts';
import { MediaMeter } from './media-meter.ts';
import { Measurement, type AudioSettings } from './measurement.ts';
import type { Metrics } from './metrics.ts';
import type { EmotionService } from './models/service.ts';
import { Overload, type OverloadSettings } from './overload/overload.ts';
import { createPipelines, type CallerPipelines, type PipelineWorkers } from './pipeline/pipelines.ts';
import type { CallClosedReason } from './sfu/events.ts';
import type { HostRouter } from './sfu/host.ts';
import { TapManager } from './sfu/tap-manager.ts';
import type { CallInfo, ConsentState, Decide, Decision, ParticipantInfo } from './sfu/types.ts';

/** What an {@link Undertone} plugin is made from. The host owns `emotion` and `gateway`, and closes them after the plugin. */
export interface UndertoneOptions {
  readonly emotion: EmotionService;
  readonly gateway: Gateway;
  /** The policy, see `createPolicy`. */
  readonly decide: Decide;
  readonly metrics: Metrics;
  /** @default a silent one */
  readonly logger?: Logger;
  /** @default systemClock */
  readonly clock?: Clock;
  /** How callers' audio is received. */
  readonly audio?: AudioSettings;
  /** Threads that decode callers and hear their speech, for the plugin alone. @default 0: the thread that the plugin runs in */
  readonly pipelineWorkers?: PipelineWorkers;
  /** When less is measured because there is too much to do. */
  readonly overload?: OverloadSettings;
}

/** One of the host's calls. */
export interface AttachedCall {
  /**
   * Tells that someone joined, and returns the policy's decision on them.
   * @throws UndertoneError UT_REQUEST_INVALID if they are in the call already.
   */
  addParticipant(participant: { readonly participantId: string; readonly role: string; readonly consent: ConsentState }): Decision;
  /** Tells of another role or consent. Where the decision is no, no packet of theirs is decoded once this has returned. */
  updateParticipant(participantId: string, change: { readonly role?: string; readonly consent?: ConsentState }): Decision;
  /** Tells that someone left. Unknown participants are ignored. */
  removeParticipant(participantId: string): void;
  /** Tells of a participant's audio producer on the call's router; the newest is measured. */
  addProducer(participantId: string, producerId: string): void;
  /** Tells that it is closed. */
  removeProducer(participantId: string, producerId: string): void;
  /** Ends the call's timeline. Safe to call twice. @param reason @default 'closed' */
  close(reason?: CallClosedReason): void;
}

/** Attaches to Routers that the host made; never makes a worker, a router or a socket of its own. */
export class Undertone {
  readonly #taps: TapManager;
  readonly #measurement: Measurement;
  readonly #pipelines: CallerPipelines;
  readonly #overload: Overload;
  readonly #clock: Clock;
  readonly #open = new Set<AttachedCall>();
  #closed: Promise<void> | undefined;

  constructor(options: UndertoneOptions) {
    const { emotion, gateway, decide, metrics, logger = createLogger('silent'), clock = systemClock } = options;
    const { audio, pipelineWorkers = 0, overload } = options;
    this.#clock = clock;
    this.#taps = new TapManager({ decide, clock });
    this.#pipelines = createPipelines({ workers: pipelineWorkers, logger, metrics });
    this.#overload = new Overload({ ...overload, emotion, pipelines: this.#pipelines, metrics, logger, clock });
    this.#measurement = new Measurement({
      emotion,
      openCall: gateway.openCall.bind(gateway),
      meter: new MediaMeter(metrics),
      clock,
      logger,
      audio,
      pipelines: this.#pipelines,
      overload: this.#overload,
    });
    this.#taps.events$.subscribe((event) => {
      this.#measurement.handle(event);
    });
  }

  /**
   * Opens the timeline of one of the host's calls. `router` may be of any mediasoup version that has DirectTransport.
   * @throws UndertoneError UT_REQUEST_INVALID where that call is live already, or the plugin is closed.
   */
  openCall(info: CallInfo, router: HostRouter): AttachedCall {
    if (this.#closed !== undefined) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected an open plugin, got a closed one');
    const { callId } = info;
    const participants = new Map<string, ParticipantInfo>();
    this.#measurement.handle({ type: 'callOpened', call: info, openedAtUnixMs: this.#clock.nowMs() });

    const removeParticipant = (participantId: string): void => {
      const participant = participants.get(participantId);
      if (participant === undefined) return;
      participants.delete(participantId);
      this.#taps.removeParticipant(participant);
      this.#measurement.handle({ type: 'participantLeft', participant });
    };
    const call: AttachedCall = {
      addParticipant: (joining) => {
        const participant = { callId, ...joining };
        if (participants.has(joining.participantId) || !this.#open.has(call)) {
          const got = this.#open.has(call) ? `\`${joining.participantId}\`, who is in the call already` : 'one for a call that has ended';
          throw new UndertoneError('UT_REQUEST_INVALID', `Expected a new participant, got ${got}`);
        }
        participants.set(joining.participantId, participant);
        this.#measurement.handle({ type: 'participantJoined', participant });
        return this.#taps.addParticipant(participant, info, router);
      },
      updateParticipant: (participantId, change) => {
        const participant = participants.get(participantId);
        if (participant === undefined) {
          throw new UndertoneError('UT_REQUEST_INVALID', `Expected a participant of the call, got \`${participantId}\``);
        }
        const changed = { ...participant, ...change };
        participants.set(participantId, changed);
        return this.#taps.updateParticipant(changed);
      },
      removeParticipant,
      addProducer: (participantId, producerId) => {
        this.#taps.addProducer({ callId, participantId }, producerId);
      },
      removeProducer: (participantId, producerId) => {
        this.#taps.removeProducer({ callId, participantId }, producerId);
      },
      close: (reason = 'closed') => {
        if (!this.#open.delete(call)) return;
        for (const participantId of [...participants.keys()]) removeParticipant(participantId);
        this.#measurement.handle({ type: 'callClosed', call: info, reason });
      },
    };
    this.#open.add(call);
    return call;
  }

  /** Ends every call (`shutdown`) and resolves once their timelines are written. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    for (const call of [...this.#open]) call.close('shutdown');
    this.#taps.close();
    this.#overload.close();
    await this.#measurement.close();
    await this.#pipelines.close();
  }
}
