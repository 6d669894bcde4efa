// Keeps the server within what it can do: reads how its parts keep up, widens the hop between windows, and lets callers wait.
import { createBusyShare } from '../busy-share.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { EmotionService } from '../models/service.ts';
import { Pace } from '../pipeline/pace.ts';
import type { CallerPipelines } from '../pipeline/pipelines.ts';
import { LoadController, type LoadReading, type LoadStep } from './load-controller.ts';
import { WaitingList, type WaitingChange } from './waiting-list.ts';

/** What of it is configuration. */
export interface OverloadSettings {
  /** @default true */
  readonly enabled?: boolean | undefined;
  /** See {@link LoadController}. @default 300 */
  readonly lateMs?: number | undefined;
  /** See {@link LoadController}. @default 5000 */
  readonly calmMs?: number | undefined;
  /** How long a caller waits at a time, ms. @default 4000 */
  readonly turnMs?: number | undefined;
}

/** What an {@link Overload} is made from. */
export interface OverloadOptions extends OverloadSettings {
  readonly emotion: Pick<EmotionService, 'takePressure' | 'manifest'>;
  readonly pipelines: Pick<CallerPipelines, 'takePressure' | 'pausedMs'>;
  readonly metrics: Pick<Metrics, 'hopMs' | 'hopChanges' | 'callersWaiting'>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Share of the time since it was last asked that this thread was busy, 0 to 1. @default what Node says */
  readonly mainShare?: (() => number) | undefined;
}

/** Told of media that a caller's wait left out, between two wall times, ms since the Unix epoch. */
export type TellWait = (fromUnixMs: number, toUnixMs: number) => void;

interface Member {
  readonly pace: Pace;
  readonly tell: TellWait;
  /** From when on what they say is left out and not yet told of; null while they do not wait. */
  waitingFromUnixMs: number | null;
}

/** How often the parts are read, ms. */
const tickMs = 500;
/** A wait is told when so much of it has passed, and when it ends, ms. */
const tellMs = 1000;
const defaultTurnMs = 4000;

/**
 * Looks twice a second. All callers go by the same hop; each has a {@link Pace}, which their front end reads wherever it runs.
 */
export class Overload {
  readonly #options: OverloadOptions;
  readonly #controller: LoadController;
  readonly #members = new Map<string, Member>();
  readonly #waiting = new WaitingList();
  readonly #turnMs: number;
  #timer: NodeJS.Timeout | undefined;
  #tickedMs: number;
  #turnSinceMs = 0;
  readonly #mainShare: () => number;

  constructor(options: OverloadOptions) {
    const {
      enabled = true,
      lateMs,
      calmMs,
      turnMs = defaultTurnMs,
      mainShare = createBusyShare(() => options.pipelines.pausedMs),
    } = options;
    this.#mainShare = mainShare;
    this.#options = options;
    this.#turnMs = turnMs;
    this.#tickedMs = options.clock.nowMs();
    this.#controller = new LoadController({ ...(lateMs === undefined ? {} : { lateMs }), ...(calmMs === undefined ? {} : { calmMs }) });
    this.#measure();
    if (!enabled) return;
    this.#timer = setInterval(() => {
      this.#tick();
    }, tickMs).unref();
  }

  /** Takes a caller in, and returns what their front end is to heed. */
  join(callerId: string, tell: TellWait): Pace {
    const pace = new Pace();
    pace.hopFactor = this.#controller.level.hopFactor;
    this.#members.set(callerId, { pace, tell, waitingFromUnixMs: null });
    this.#waiting.add(callerId);
    return pace;
  }

  /** A caller began or ceased to speak. */
  speech(callerId: string, state: 'start' | 'end'): void {
    this.#waiting.speech(callerId, state === 'start');
  }

  /** Forgets a caller. With `tell`, what they waited is told first. */
  leave(callerId: string, options: { readonly tell: boolean }): void {
    const member = this.#members.get(callerId);
    if (member === undefined) return;
    this.#members.delete(callerId);
    this.#waiting.remove(callerId);
    if (options.tell) this.#tell(member);
    this.#measure();
  }

  /** Looks no more; what is in force stays so. Safe to call twice. */
  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = this.#options.clock.nowMs();
    const sinceMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    this.#waiting.pass(sinceMs);
    const reading = this.#read(sinceMs);
    const step = this.#controller.observe(reading, nowMs);
    const { waitingShare } = this.#controller.level;
    if (step !== null) {
      this.#apply(step, reading);
      this.#turnSinceMs = nowMs;
    } else if (waitingShare > 0 && nowMs - this.#turnSinceMs >= this.#turnMs) {
      this.#wait(this.#waiting.rotate(waitingShare));
      this.#turnSinceMs = nowMs;
    }
    for (const member of this.#members.values()) {
      if (member.waitingFromUnixMs !== null && nowMs - member.waitingFromUnixMs >= tellMs) this.#tell(member);
    }
    this.#measure();
  }

  #read(sinceMs: number): LoadReading {
    const { busyShare: engineShare, ...windows } = this.#options.emotion.takePressure();
    const { lagMs, busyShare } = this.#options.pipelines.takePressure();
    const mainLagMs = Math.max(0, sinceMs - tickMs);
    const threadShare = Math.max(this.#mainShare(), busyShare);
    return { ...windows, pipelineLagMs: lagMs, mainLagMs, engineShare, threadShare };
  }

  #apply({ level, direction, reason }: LoadStep, reading: LoadReading): void {
    const { logger, metrics } = this.#options;
    for (const { pace } of this.#members.values()) pace.hopFactor = level.hopFactor;
    this.#wait(this.#waiting.resize(level.waitingShare));
    metrics.hopChanges.inc({ direction });
    const { waitingShare } = level;
    const facts = { hopMs: this.#hopMs, waitingShare, waiting: this.#waiting.size, reason, ...reading };
    if (direction === 'up') logger.warn(facts, 'more than this machine can do: less is measured');
    else logger.info(facts, 'more is measured again');
  }

  #wait({ begin, end }: WaitingChange): void {
    for (const callerId of begin) {
      const member = this.#members.get(callerId);
      if (member === undefined) continue;
      member.pace.waiting = true;
      member.waitingFromUnixMs = this.#options.clock.nowMs();
    }
    for (const callerId of end) {
      const member = this.#members.get(callerId);
      if (member === undefined) continue;
      member.pace.waiting = false;
      this.#tell(member);
      member.waitingFromUnixMs = null;
    }
  }

  #tell(member: Member): void {
    const fromUnixMs = member.waitingFromUnixMs;
    if (fromUnixMs === null) return;
    member.waitingFromUnixMs = this.#options.clock.nowMs();
    member.tell(fromUnixMs, member.waitingFromUnixMs);
  }

  #measure(): void {
    const { metrics } = this.#options;
    metrics.hopMs.set(this.#hopMs);
    metrics.callersWaiting.set(this.#waiting.size);
  }

  get #hopMs(): number {
    const { hopFrames, hopSamples, sampleRateHz } = this.#options.emotion.manifest;
    return (this.#controller.level.hopFactor * hopFrames * hopSamples * 1000) / sampleRateHz;
  }
}
