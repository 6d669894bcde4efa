// Tells the beginning of a new stream from strays: holds the packets of another one until enough bear it out.
import { sequenceModulus, unwrapNear } from './sequence.ts';
import type { RtpPacket } from './types.ts';

/**
 * A new stream is followed once so many of its packets came, or some over such a time. The least delayed of them places it:
 * among delays spread evenly over three times the jitter, the least of 1.2 for each ms of jitter is 2.5 ms late on average.
 */
const fewestPackets = 4;
const mostPackets = 16;
const packetsPerJitterMs = 1.2;
const followMs = 400;

/** What became of a packet that was offered. */
export type CandidateVerdict = 'duplicate' | 'held' | 'complete' | 'another';

/** Packets that do not belong to the present stream: all of one SSRC, near one another in sequence. */
export class StreamCandidates {
  readonly #maxSpread: number;
  #packets: RtpPacket[] = [];
  /** Packets of the present stream that came since the first candidate. */
  #since = 0;

  /** @param maxSpread how far from the first the sequence numbers of one stream may lie */
  constructor(maxSpread: number) {
    this.#maxSpread = maxSpread;
  }

  get count(): number {
    return this.#packets.length;
  }

  /** Takes a packet off a network of that jitter: `complete` where the stream is to be followed now, `another` where it is none of these and was not taken. */
  offer(packet: RtpPacket, jitterMs: number): CandidateVerdict {
    const first = this.#packets[0] ?? packet;
    if (first.ssrc !== packet.ssrc) return 'another';
    if (this.#packets.some(({ sequenceNumber }) => sequenceNumber === packet.sequenceNumber)) return 'duplicate';
    const ahead = unwrapNear(packet.sequenceNumber, first.sequenceNumber, sequenceModulus) - first.sequenceNumber;
    if (Math.abs(ahead) > this.#maxSpread) return 'another';
    this.#packets.push(packet);
    const enough = Math.min(mostPackets, Math.max(fewestPackets, packetsPerJitterMs * jitterMs));
    return this.count >= enough || (this.count > 1 && packet.arrivalMs - first.arrivalMs >= followMs) ? 'complete' : 'held';
  }

  /** The present stream goes on. True once it has so long that another cannot have taken its place. */
  outlived(): boolean {
    if (this.count > 0) this.#since++;
    return this.#since >= mostPackets;
  }

  /** Gives out the candidates, in order of sequence (unwrapped), and forgets them. */
  take(): { readonly sequence: number; readonly packet: RtpPacket }[] {
    const packets = this.#packets;
    this.#packets = [];
    this.#since = 0;
    const anchor = packets[0]?.sequenceNumber ?? 0;
    return packets
      .map((packet) => ({ sequence: unwrapNear(packet.sequenceNumber, anchor, sequenceModulus), packet }))
      .sort((a, b) => a.sequence - b.sequence);
  }
}
