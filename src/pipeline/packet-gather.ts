// Lets a caller's packets wait for one another while nothing waits for them.
import type { TrackCodec } from '../sfu/types.ts';
import { parseOpusPacket } from './opus-packet.ts';
import { sequenceModulus } from './sequence.ts';
import { sampleRateHz, type RtpPacket } from './types.ts';

/** Longest stretch of packets that waits, ms. A caller who stops sending is heard out after two looks, 250 to 375 ms. */
const mostGatheredMs = 100;

/**
 * Keeps packets that follow one another as the last ones did. What is kept has been looked at and no more, so that a caller's decoder and features
 * are fetched into the caches once for several packets. One that is out of order, of another stream or of another length than theirs ends it.
 */
export class PacketGather {
  readonly #isOpus: boolean;
  readonly #samplesPerTick: number;
  readonly #mostSamples: number;
  readonly #kept: RtpPacket[] = [];
  #last: RtpPacket | null = null;
  /** From the packet before the last to the last, ticks; 0 where that one did not follow. */
  #step = 0;

  constructor({ mimeType, clockRateHz }: Pick<TrackCodec, 'mimeType' | 'clockRateHz'>, mostMs = mostGatheredMs) {
    this.#isOpus = mimeType.toLowerCase() === 'audio/opus';
    this.#samplesPerTick = sampleRateHz / clockRateHz;
    this.#mostSamples = (mostMs * sampleRateHz) / 1000;
  }

  /**
   * Takes the next packet to arrive. Returns whether it may wait: nothing is due before `patience` more samples have come, behind those that
   * were taken out.
   */
  keep(packet: RtpPacket, patience: number): boolean {
    const last = this.#last;
    const step = last === null ? 0 : packet.timestamp - last.timestamp;
    const each = step * this.#samplesPerTick;
    const regular =
      last !== null &&
      step > 0 &&
      this.#samplesOf(packet) === each &&
      packet.sequenceNumber === (last.sequenceNumber + 1) % sequenceModulus &&
      packet.ssrc === last.ssrc &&
      packet.payloadType === last.payloadType;
    const follows = regular && step === this.#step;
    this.#last = packet;
    // Behind what is not, the next one may fill a hole, and be more than it says.
    this.#step = regular ? step : 0;
    this.#kept.push(packet);
    const samples = this.#kept.length * each;
    return follows && samples < patience && samples <= this.#mostSamples;
  }

  #samplesOf({ payload }: RtpPacket): number | undefined {
    return this.#isOpus ? parseOpusPacket(payload)?.sampleCount : payload.length * this.#samplesPerTick;
  }

  /** Hands out what was kept, in order of arrival. */
  take(to: (packet: RtpPacket) => void): void {
    if (this.#kept.length === 0) return;
    for (const packet of this.#kept.splice(0)) to(packet);
  }

  /** Forgets what was kept. */
  clear(): void {
    this.#kept.length = 0;
  }
}
