// Spares the decoder what a silent participant sends: told from the packets alone, with a look-back for the one who speaks again.
import type { Emit, Processor } from '../processor.ts';
import type { TrackCodec } from '../sfu/types.ts';
import { g711LevelDbov } from './g711-codec.ts';
import { isOpusDigitalSilence, opusVoiceActivity } from './opus-packet.ts';
import { createMediaCounts } from './media-counts.ts';
import { fullPace, type PaceReading } from './pace.ts';
import type { MediaCounts, PlayoutItem } from './types.ts';

/** Options of a {@link SilenceGate}. */
export interface SilenceGateOptions {
  readonly codec: TrackCodec;
  /** Counts to add `skippedSamples` to. @default all zero */
  readonly counts?: MediaCounts;
  /** Whether packets of a silent participant are left undecoded; those of a waiting one are in any case. @default true */
  readonly skipSilence?: boolean | undefined;
  /** Tells whether the participant waits. @default never */
  readonly pace?: PaceReading | undefined;
}

/**
 * A participant sleeps after so much silence in a row, longer than what ends an utterance: 0.6 s where a level tells it; 1 s where voice bits
 * or pauses do, which let soft speech pass for silence now and then.
 */
const sleepSamples = { byLevel: 9600, byVoice: 16_000 };

/** What is kept undecoded of a sleeping participant, and decoded when they wake (200 ms). */
const lookBackSamples = 3200;

/** The oldest of it is decoded for the decoder's sake alone (40 ms). */
const warmUpSamples = 640;

/** Louder than this is never silence, whatever the room. Speech is 20 to 40 dB above. */
const loudestSilenceDbov = -55;

/** Nor is what rises this far above the room. */
const aboveFloorDb = 6;

/** Quieter than this there is no microphone at work, and nothing is said of the room. */
const noSignalDbov = -100;

/** How fast the room's level is believed to rise, dB a second. */
const floorRiseDbPerSecond = 1;

/** A payload of Opus that is no longer is discontinuous transmission: it holds no sound. */
const maxDtxBytes = 2;

/**
 * Behind so much silence in a row (1 s) nothing depends on when the next of it comes: no utterance is open, and no window is due. So it goes
 * on in pieces of 240 ms, for which all that is kept of a participant is fetched into the processor's caches once and not a dozen times.
 */
const settledSamples = 16_000;
const pieceSamples = 3840;

/** So many packets of digital silence are decoded before the next sound: a frame of CELT overlaps with the one before. */
const mostPrimers = 2;

type Packet = Extract<PlayoutItem, { kind: 'packet' }>;

/**
 * Passes a participant's spans on; of one who has been silent for a while, it passes silence (`dtx`) instead of packets. A
 * packet is silent by its audio level (RFC 6464) where it says one; else by the level of its codes (G.711), or its voice bits
 * (SILK and hybrid Opus; CELT has none and counts as sound). Opus packets of discontinuous transmission are always silence, and so is
 * CELT's digital silence behind a first packet, which ends the sound before: all of it is zeros, so it need not be kept to be heard. Its
 * last two packets are decoded before the next sound all the same, for that is coded against them. Silence that lasts for more than a second
 * goes on in pieces of 240 ms, or with what follows it.
 *
 * A sleeping participant's last 200 ms are kept as they came and decoded once they wake, so the beginning of what they say is
 * not lost; the first 40 ms of them set the decoder right and are not heard. A participant who waits sleeps, whatever they say.
 */
export class SilenceGate implements Processor<PlayoutItem, PlayoutItem> {
  readonly counts: MediaCounts;
  readonly #levelOf: (packet: Packet) => number | 'silent' | 'active';
  readonly #isOpus: boolean;
  readonly #skipSilence: boolean;
  readonly #pace: PaceReading;
  /** Spans of a sleeping participant, oldest first. */
  readonly #held: PlayoutItem[] = [];
  #heldSamples = 0;
  #silentSamples = 0;
  #sleepSamples = sleepSamples.byVoice;
  #floorDbov = 0;
  /** Whether the last packet was digital silence; the last of those that were not decoded. */
  #zeros = false;
  readonly #primers: Packet[] = [];
  /** Silence that was emitted or gathered in a row, and as much of it as was gathered. */
  #quietSamples = 0;
  #gatheredSamples = 0;
  #gatheredArrivalMs = 0;
  /** Where it ends. */
  #gatheredEnd = 0;

  constructor({ codec, counts, skipSilence = true, pace = fullPace }: SilenceGateOptions) {
    this.counts = counts ?? createMediaCounts();
    this.#skipSilence = skipSilence;
    this.#pace = pace;
    const mimeType = codec.mimeType.toLowerCase();
    this.#levelOf = levelBy(mimeType);
    this.#isOpus = mimeType === 'audio/opus';
  }

  process(item: PlayoutItem, emit: Emit<PlayoutItem>): void {
    const { waiting } = this.#pace;
    if (waiting) this.#silentSamples = Math.max(this.#silentSamples, this.#sleepSamples);
    else if (!this.#skipSilence && this.#held.length === 0) {
      emit(item);
      return;
    }
    switch (item.kind) {
      case 'dtx':
        this.#skip(item, emit);
        return;
      case 'lost':
        // It may have been anything; the next packet tells.
        if (this.#asleep) this.#hold(item, emit);
        else this.#pass(item, emit);
        return;
      case 'packet':
        if (!waiting && this.#skipSilence && this.#isOpus && isOpusDigitalSilence(item.payload)) {
          this.#takeZeros(item, emit);
          return;
        }
        this.#zeros = false;
        if (waiting) this.#hold(item, emit);
        else if (this.#isOpus && item.payload.length <= maxDtxBytes) this.#skip(item, emit);
        else if (this.#isSilent(item)) this.#rest(item, emit);
        else this.#wake(item, emit);
    }
  }

  /** What is kept of a sleeping participant is silence, now that nothing follows. */
  pause(emit: Emit<PlayoutItem>): void {
    this.#skipHeld(0, emit);
    this.#emitGathered(emit);
  }

  flush(emit: Emit<PlayoutItem>): void {
    this.pause(emit);
  }

  close(): void {
    this.#held.length = 0;
    this.#primers.length = 0;
  }

  get #asleep(): boolean {
    return this.#held.length > 0 || this.#silentSamples >= this.#sleepSamples;
  }

  /** Passes on what holds no sound, after what was kept before it. */
  #skip(item: PlayoutItem, emit: Emit<PlayoutItem>): void {
    this.#silentSamples += item.sampleCount;
    this.#skipHeld(0, emit);
    this.#emitSilence(item, emit);
  }

  /** The first of it ends the sound before; what it is behind that is known. */
  #takeZeros(item: Packet, emit: Emit<PlayoutItem>): void {
    if (this.#zeros || this.#asleep) {
      this.#skip(item, emit);
      this.#primers.push(item);
      if (this.#primers.length > mostPrimers) this.#primers.shift();
    } else this.#rest(item, emit);
    this.#zeros = true;
  }

  #rest(item: Packet, emit: Emit<PlayoutItem>): void {
    if (this.#asleep) this.#hold(item, emit);
    else this.#pass(item, emit);
    this.#silentSamples += item.sampleCount;
  }

  /** Passes on what the decoder gets to see next. */
  #pass(item: PlayoutItem, emit: Emit<PlayoutItem>): void {
    this.#emitGathered(emit);
    this.#quietSamples = 0;
    // What they last was emitted when they came.
    for (const primer of this.#primers) emit({ ...primer, startSample: item.startSample, sampleCount: 0, warmUp: true });
    this.#primers.length = 0;
    emit(item);
  }

  #wake(item: Packet, emit: Emit<PlayoutItem>): void {
    this.#silentSamples = 0;
    // After a pause of the sender's, what little is kept may be the beginning of speech.
    let warmedSamples = this.#heldSamples < lookBackSamples / 2 ? warmUpSamples : 0;
    let warm = false;
    for (const held of this.#held) {
      warmedSamples += held.sampleCount;
      if (held.kind === 'packet') {
        warm = true;
        this.#pass(warmedSamples <= warmUpSamples ? { ...held, warmUp: true } : held, emit);
      } else if (warm) emit(held);
      // There is nothing to conceal it from but what was said long ago.
      else this.#emitSilence(held, emit);
    }
    this.#held.length = 0;
    this.#heldSamples = 0;
    this.#pass(item, emit);
  }

  #hold(item: PlayoutItem, emit: Emit<PlayoutItem>): void {
    this.#held.push(item);
    this.#heldSamples += item.sampleCount;
    this.#skipHeld(lookBackSamples, emit);
  }

  /** Gives out as silence what exceeds so many samples. */
  #skipHeld(keepSamples: number, emit: Emit<PlayoutItem>): void {
    for (;;) {
      const [oldest] = this.#held;
      if (oldest === undefined || this.#heldSamples <= keepSamples) return;
      this.#held.shift();
      this.#heldSamples -= oldest.sampleCount;
      this.#emitSilence(oldest, emit);
    }
  }

  #emitSilence({ kind, startSample, sampleCount, arrivalMs }: PlayoutItem, emit: Emit<PlayoutItem>): void {
    if (kind === 'packet') this.counts.skippedSamples += sampleCount;
    this.#quietSamples += sampleCount;
    this.#gatheredEnd = startSample + sampleCount;
    this.#gatheredSamples += sampleCount;
    this.#gatheredArrivalMs = arrivalMs;
    if (this.#quietSamples <= settledSamples || this.#gatheredSamples >= pieceSamples) this.#emitGathered(emit);
  }

  #emitGathered(emit: Emit<PlayoutItem>): void {
    const sampleCount = this.#gatheredSamples;
    if (sampleCount === 0) return;
    this.#gatheredSamples = 0;
    emit({ kind: 'dtx', startSample: this.#gatheredEnd - sampleCount, sampleCount, arrivalMs: this.#gatheredArrivalMs });
  }

  #isSilent(packet: Packet): boolean {
    if (!this.#skipSilence) return false;
    const level = packet.audioLevelDbov ?? this.#levelOf(packet);
    this.#sleepSamples = typeof level === 'number' ? sleepSamples.byLevel : sleepSamples.byVoice;
    if (typeof level === 'string') return level === 'silent';
    if (level <= noSignalDbov) return true;
    const rise = (floorRiseDbPerSecond * packet.sampleCount) / 16_000;
    this.#floorDbov = Math.min(level, this.#floorDbov + rise);
    return level <= loudestSilenceDbov && level <= this.#floorDbov + aboveFloorDb;
  }
}

/** Where packets do not say their level: what their payloads tell. */
function levelBy(mimeType: string): (packet: Packet) => number | 'silent' | 'active' {
  switch (mimeType) {
    case 'audio/pcmu':
      return ({ payload }) => g711LevelDbov('pcmu', payload);
    case 'audio/pcma':
      return ({ payload }) => g711LevelDbov('pcma', payload);
    case 'audio/opus':
      return ({ payload }) => (opusVoiceActivity(payload) === false ? 'silent' : 'active');
    default:
      return () => 'active';
  }
}
