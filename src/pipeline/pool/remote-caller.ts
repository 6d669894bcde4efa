// One caller whose front end runs in a pipeline thread: its track goes on in another where that one dies.
import type { Subscriber } from 'rxjs';
import { UndertoneError } from '../../errors.ts';
import { hopSamples } from '../feature-extractor.ts';
import { createMediaCounts } from '../media-counts.ts';
import type { RawRtp } from '../packet-pipeline.ts';
import type { CallerOptions } from '../pipelines.ts';
import type { CallerOutput } from '../types.ts';
import { BlockReader } from './block-ring.ts';
import { addCounts, fatedPackets, readReport, sumCounts } from './media-report.ts';
import type { CallerSettings, Failure, SentChange, SentOutput, SentWindow } from './messages.ts';
import type { LaneCaller, LanePlace, PipelineLane } from './pipeline-lane.ts';
import type { RingStore } from './ring-store.ts';
import type { ToldClock } from './told-clock.ts';

/** What a {@link RemoteCaller} is made from. */
export interface RemoteCallerOptions extends CallerOptions {
  readonly clock: ToldClock;
  readonly rings: RingStore;
  /** Finds the caller a thread again. */
  readonly onOrphaned: (caller: RemoteCaller) => void;
}

/**
 * Positions rise through all front ends of a track: each begins where the arrival of its first packet says, on the grid
 * of the hops between windows, and behind all that the one before it said. Every packet taken meets one fate in `counts`; those
 * that a dead thread had and did not report are `overflow`.
 */
export class RemoteCaller implements LaneCaller {
  readonly #options: RemoteCallerOptions;
  readonly #subscriber: Subscriber<CallerOutput>;
  readonly #settings: CallerSettings;
  /** Shared with each thread that serves the caller. */
  readonly #withdrawn = new SharedArrayBuffer(4);
  /** Media between two windows. */
  readonly #gridSamples: number;
  #place: LanePlace | null = null;
  /** Of the front end that it has; each writes to memory of its own. */
  #ring: SharedArrayBuffer | null = null;
  #blocks: BlockReader | null = null;
  /** Counts of what no living thread counts, and the newest that the living one reported. */
  #settled = createMediaCounts();
  #reported = createMediaCounts();
  /** Packets that the thread was sent. */
  #sent = 0;
  /** Where the thread's front end begins; null until its first packet. */
  #startSample: number | null = null;
  #speaking = false;
  /** The last position that was told. */
  #lastSample = 0;
  /** Arrival of the newest packet, and of the newest of them that was lost with a thread or for want of one. Always a number: V8 writes it in place. */
  #newestMs = -Infinity;
  #newestLostMs = -Infinity;
  /** Where media is missing from, that no gap tells of yet. */
  #gapFromSample: number | null = null;
  #state: 'open' | 'ending' | 'withdrawn' | 'closed' = 'open';

  constructor(options: RemoteCallerOptions, subscriber: Subscriber<CallerOutput>) {
    this.#options = options;
    this.#subscriber = subscriber;
    const { opusDecoder, skipSilence, playoutDelay, spec } = options;
    this.#settings = { opusDecoder, skipSilence, playoutDelay };
    this.#gridSamples = spec.hopFrames * hopSamples;
  }

  /** Begins or goes on in a thread. */
  enter(lane: PipelineLane): void {
    const { track, spec, pace, rings } = this.#options;
    this.#tellGap();
    // Told of the gap, its receiver may have given the caller up.
    if (this.#state !== 'open') return;
    const [settings, withdrawn, blocks] = [this.#settings, this.#withdrawn, rings.take(spec)];
    this.#ring = blocks;
    this.#blocks = new BlockReader(spec.hopFrames, blocks);
    this.#place = lane.open(this, { track, spec, settings, withdrawn, pace: pace?.memory ?? null, blocks });
  }

  /** Takes the next packet. */
  take(packet: RawRtp): void {
    if (this.#state !== 'open') return;
    const place = this.#place;
    this.#newestMs = Math.max(this.#newestMs, packet.arrivalMs);
    if (place === null) {
      this.#miss(packet.arrivalMs);
      return;
    }
    if (!place.lane.send(place.ref, packet)) {
      this.#drop();
      return;
    }
    this.#sent += 1;
    if (this.#startSample === null) this.#begin(packet.arrivalMs);
  }

  /** There are no more packets: the last words come, then the stream completes. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    if (this.#place === null) this.#complete();
    else this.#place.lane.end(this.#place.ref);
  }

  /** Nothing more is said once this has returned, and nothing more decoded. */
  withdraw(): void {
    if (this.#state === 'closed' || this.#state === 'withdrawn') return;
    this.#state = 'withdrawn';
    Atomics.store(new Int32Array(this.#withdrawn), 0, 1);
    if (this.#place === null) this.#close();
    else this.#place.lane.discard(this.#place.ref);
  }

  reported(rows: Float64Array, at: number): void {
    readReport(rows, at, this.#reported, this.#options.levels);
    this.#count();
  }

  ended(failure: Failure | null): void {
    const { rings, spec } = this.#options;
    this.#place = null;
    if (this.#ring !== null) rings.giveBack(this.#ring, spec);
    this.#ring = null;
    this.#settle(false);
    if (this.#state === 'withdrawn') this.#close();
    else if (failure === null) this.#complete();
    else this.#fail(new UndertoneError(failure.code, failure.message));
  }

  said(output: SentOutput): void {
    if (this.#state === 'withdrawn') return;
    this.#options.clock.told(output.originMs);
    if (output.kind === 'speech') this.#change(output.change);
    else this.#window(output.window, output.blocks);
  }

  orphaned(): void {
    this.#place = null;
    if (this.#ring !== null) this.#options.rings.forget();
    this.#ring = null;
    if (this.#state === 'withdrawn') {
      this.#settle(false);
      this.#close();
      return;
    }
    if (this.#sent > 0) {
      this.#gapFromSample ??= this.#lastSample;
      this.#newestLostMs = this.#newestMs;
    }
    this.#settle(true);
    this.#startSample = null;
    this.#blocks = null;
    // Nobody else would: the next front end does not know of it.
    if (this.#speaking) this.#emitChange({ state: 'end', atSample: this.#lastSample, arrivalMs: this.#newestMs });
    if (this.#state === 'ending') this.#complete();
    // Told of the end, its receiver may have given the caller up.
    else if (this.#state === 'open') this.#options.onOrphaned(this);
  }

  #begin(arrivalMs: number): void {
    const { clock } = this.#options;
    const leastSample = Math.max(this.#lastSample, clock.sampleAt(arrivalMs));
    this.#startSample = Math.ceil(leastSample / this.#gridSamples) * this.#gridSamples;
    clock.begin(this.#startSample, arrivalMs);
  }

  #change({ state, atSample, arrivalMs }: SentChange): void {
    this.#emitChange({ state, atSample: atSample + (this.#startSample ?? 0), arrivalMs });
  }

  #emitChange(change: SentChange): void {
    this.#speaking = change.state === 'start';
    this.#lastSample = Math.max(this.#lastSample, change.atSample);
    this.#subscriber.next({ kind: 'speech', change: { track: this.#options.track, ...change } });
  }

  #window(sent: SentWindow, numbers: readonly number[]): void {
    const reader = this.#blocks;
    if (reader === null) return;
    const startSample = this.#startSample ?? 0;
    const window = {
      track: this.#options.track,
      ...sent,
      startSample: sent.startSample + startSample,
      endSample: sent.endSample + startSample,
      endFrame: sent.endFrame + startSample / hopSamples,
      blocks: numbers.map((number) => (number === 0 ? null : reader.block(number))),
    };
    this.#lastSample = Math.max(this.#lastSample, window.endSample);
    this.#subscriber.next({ kind: 'window', window });
  }

  #tellGap(): void {
    const startSample = this.#gapFromSample;
    if (startSample === null) return;
    this.#gapFromSample = null;
    const { track, clock } = this.#options;
    const endSample = Math.max(startSample, clock.sampleAt(this.#newestLostMs));
    this.#lastSample = endSample;
    this.#subscriber.next({ kind: 'gap', gap: { track, startSample, endSample } });
  }

  /** No thread is up: what the packet held is missing. */
  #miss(arrivalMs: number): void {
    const { clock } = this.#options;
    if (!clock.begun) clock.begin(0, arrivalMs);
    this.#gapFromSample ??= this.#lastSample;
    this.#newestLostMs = Math.max(this.#newestLostMs, arrivalMs);
    this.#drop();
  }

  #drop(): void {
    this.#settled.received += 1;
    this.#settled.overflow += 1;
    this.#count();
  }

  /** The thread counts no more. Packets of which it did not say what became of them are lost, if they count at all. */
  #settle(lost: boolean): void {
    const [reported, sent] = [this.#reported, this.#sent];
    this.#reported = createMediaCounts();
    this.#sent = 0;
    addCounts(this.#settled, reported);
    if (lost) {
      this.#settled.received += sent - reported.received;
      this.#settled.overflow += sent - fatedPackets(reported);
    }
    this.#count();
  }

  #count(): void {
    sumCounts(this.#options.counts, this.#settled, this.#reported);
  }

  #complete(): void {
    this.#tellGap();
    this.#close();
    this.#subscriber.complete();
  }

  #fail(error: UndertoneError): void {
    this.#close();
    this.#subscriber.error(error);
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#options.onClosed();
  }
}
