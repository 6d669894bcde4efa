// Decides how much of the work is left out: up a step soon where the server does not keep up, down a step when it has long been calm.

/** How much is left out. */
export interface LoadLevel {
  /** Hops of the model between two windows of a caller. */
  readonly hopFactor: number;
  /** Share of the speech whose callers wait, 0 to 1. */
  readonly waitingShare: number;
}

/** The steps, from nothing left out on. A wider hop says less of everybody; only then do some wait. */
export const loadLevels: readonly LoadLevel[] = [
  { hopFactor: 1, waitingShare: 0 },
  { hopFactor: 2, waitingShare: 0 },
  { hopFactor: 4, waitingShare: 0 },
  { hopFactor: 4, waitingShare: 0.25 },
  { hopFactor: 4, waitingShare: 0.5 },
  { hopFactor: 4, waitingShare: 0.75 },
];

/** What is seen of the server since the last reading. Shares are 0 to 1. */
export interface LoadReading {
  /** Windows that were scored; those of them that were late; those that never were, for want of time. */
  readonly scored: number;
  readonly late: number;
  readonly lost: number;
  /** From the last packet of a window to its score, on average, ms. */
  readonly meanAgeMs: number;
  /** From the last packet of the oldest window that is still to be scored to now, ms; 0 of none. */
  readonly oldestMs: number;
  /** How long packets have waited for a pipeline thread, ms. */
  readonly pipelineLagMs: number;
  /** How late the main thread came to take the reading, ms. */
  readonly mainLagMs: number;
  /** How busy the busiest engine was: it has less to do at a wider hop. */
  readonly engineShare: number;
  /** How busy the busiest other thread was: it has hardly less to do at a wider hop, and less where callers wait. */
  readonly threadShare: number;
}

/** When steps are made. */
export interface LoadControllerOptions {
  /** A thread that is behind by more does not keep up, ms. @default 300 */
  readonly lateMs?: number;
  /** A server that has not kept up for so long goes a step up, ms. @default 1000 */
  readonly raiseAfterMs?: number;
  /** A server that has been calm for so long goes a step down, ms; longer where the last step down did not last. @default 5000 */
  readonly calmMs?: number;
  /** The longest that it grows to, ms. @default 60000 */
  readonly maxCalmMs?: number;
}

/** A step that was made. */
export interface LoadStep {
  readonly level: LoadLevel;
  readonly direction: 'up' | 'down';
  /** What did not keep up; `calm` on the way down. */
  readonly reason: Strain | 'calm';
}

/** What does not keep up. */
export type Strain = 'late windows' | 'lost windows' | 'pipeline threads' | 'main thread';

const defaults = { lateMs: 300, raiseAfterMs: 1000, calmMs: 5000, maxCalmMs: 60_000 };

/** Shares of the windows from which the server does not keep up, and up to which it is calm. */
const late = { strain: 0.2, calm: 0.02 };
const lost = { strain: 0.02, calm: 0 };
/** A window that is under way for as many times the lag that counts as strain is strain by itself: one may just be unlucky. */
const stuckLags = 2;
/** Of the lag that counts as strain, what is calm. */
const calmLagShare = 0.5;
/** What is behind by as many times the lag that counts as strain, and does not catch up, is not given as long: half. */
const farBehindLags = 3;
/** What is behind by so much less than a reading before is catching up. */
const catchingUpShare = 0.9;
/** What threads may be expected to have to do a step further down. An engine has its batches to wait for, too. */
const mostEngineShare = 0.8;
const mostThreadShare = 0.95;
/** Share of an engine's work at the full hop that grows with the windows; the rest, most of the trunk, with the frames. EmoNet's on a CPU. */
const workByWindow = 0.75;
/** Weight of a new reading in the mean of the busy shares: they jump, and a step down shall not hang on one of them. */
const shareWeight = 0.3;

/**
 * Takes readings at even times. It has no clock: the time of a reading comes with it. Between strain and calm lies a band in
 * which nothing is done, and what is catching up is given the time. A step down that is followed by a step up before long doubles the calm that the next one takes.
 */
export class LoadController {
  readonly #options: Required<LoadControllerOptions>;
  #index = 0;
  #strainSinceMs: number | null = null;
  #calmSinceMs: number | null = null;
  #neededCalmMs: number;
  #loweredAtMs = -Infinity;
  #behindMs = 0;
  #engineShare = 0;
  #threadShare = 0;

  constructor(options: LoadControllerOptions = {}) {
    this.#options = { ...defaults, ...options };
    this.#neededCalmMs = this.#options.calmMs;
  }

  /** What is in force. */
  get level(): LoadLevel {
    return levelAt(this.#index);
  }

  /** Takes the next reading; the step that it leads to, if any. */
  observe(reading: LoadReading, nowMs: number): LoadStep | null {
    this.#engineShare += shareWeight * (reading.engineShare - this.#engineShare);
    this.#threadShare += shareWeight * (reading.threadShare - this.#threadShare);
    const strain = this.#strainOf(reading);
    const behindMs = Math.max(reading.pipelineLagMs, reading.meanAgeMs, reading.oldestMs);
    const catchesUp = behindMs < catchingUpShare * this.#behindMs;
    this.#behindMs = behindMs;
    if (strain !== null) {
      this.#calmSinceMs = null;
      if (this.#strainSinceMs === null || catchesUp) this.#strainSinceMs = nowMs;
      const { raiseAfterMs, lateMs } = this.#options;
      const enoughMs = behindMs > farBehindLags * lateMs ? raiseAfterMs / 2 : raiseAfterMs;
      return nowMs - this.#strainSinceMs >= enoughMs ? this.#raise(strain, nowMs) : null;
    }
    if (!this.#isCalm(reading)) {
      this.#calmSinceMs = null;
      return null;
    }
    this.#strainSinceMs = null;
    if (this.#index === 0 || !this.#fitsBelow()) {
      this.#calmSinceMs = null;
      return null;
    }
    this.#calmSinceMs ??= nowMs;
    return nowMs - this.#calmSinceMs >= this.#neededCalmMs ? this.#lower(nowMs) : null;
  }

  #strainOf({ scored, late: lateCount, lost: lostCount, oldestMs, pipelineLagMs, mainLagMs }: LoadReading): Strain | null {
    const { lateMs } = this.#options;
    if (mainLagMs > lateMs) return 'main thread';
    if (pipelineLagMs > lateMs) return 'pipeline threads';
    const all = scored + lostCount;
    if (lostCount > 0 && lostCount >= lost.strain * all) return 'lost windows';
    // Where all take so long that none was scored since the last reading, those under way tell.
    if (oldestMs > stuckLags * lateMs) return 'late windows';
    return lateCount > 0 && lateCount >= late.strain * all ? 'late windows' : null;
  }

  #isCalm({ scored, late: lateCount, lost: lostCount, oldestMs, pipelineLagMs, mainLagMs }: LoadReading): boolean {
    const calmLagMs = this.#options.lateMs * calmLagShare;
    const all = scored + lostCount;
    const prompt = oldestMs <= this.#options.lateMs && mainLagMs <= calmLagMs && pipelineLagMs <= calmLagMs;
    return prompt && lostCount <= lost.calm * all && lateCount <= late.calm * all;
  }

  /** Whether threads are expected to keep up a step further down. */
  #fitsBelow(): boolean {
    const [now, below] = [this.level, levelAt(this.#index - 1)];
    const served = (1 - below.waitingShare) / (1 - now.waitingShare);
    return (this.#engineShare * engineWork(below)) / engineWork(now) <= mostEngineShare && this.#threadShare * served <= mostThreadShare;
  }

  #raise(reason: Strain, nowMs: number): LoadStep | null {
    this.#strainSinceMs = nowMs;
    if (this.#index === loadLevels.length - 1) return null;
    const { calmMs, maxCalmMs } = this.#options;
    const relapsed = nowMs - this.#loweredAtMs < 2 * this.#neededCalmMs;
    this.#neededCalmMs = relapsed ? Math.min(maxCalmMs, 2 * this.#neededCalmMs) : calmMs;
    this.#loweredAtMs = -Infinity;
    this.#index += 1;
    return { level: this.level, direction: 'up', reason };
  }

  #lower(nowMs: number): LoadStep {
    this.#calmSinceMs = null;
    this.#loweredAtMs = nowMs;
    this.#index -= 1;
    return { level: this.level, direction: 'down', reason: 'calm' };
  }
}

/** An engine's work at a level, in shares of that at the full hop with nobody waiting. */
function engineWork({ hopFactor, waitingShare }: LoadLevel): number {
  return (1 - waitingShare) * (1 - workByWindow + workByWindow / hopFactor);
}

function levelAt(index: number): LoadLevel {
  const level = loadLevels[index];
  if (level === undefined) throw new RangeError(`Expected a level of 0 to ${String(loadLevels.length - 1)}, got \`${String(index)}\``);
  return level;
}
