// Tells the beginning of a new stream from strays: holds the packets of another one until enough bear it out.
import { sequenceModulus, unwrapNear } from './sequence.ts';
import type { RtpPacket } from './types.ts';

/** Candidates are a stream once so many of them came, or some over such a time: the least delayed of them places it. */
const followPackets = 8;
const followMs = 200;

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

  /** Takes a packet: `complete` where the stream is to be followed now, `another` where it is none of these and was not taken. */
  offer(packet: RtpPacket): CandidateVerdict {
    const first = this.#packets[0] ?? packet;
    if (first.ssrc !== packet.ssrc) return 'another';
    if (this.#packets.some(({ sequenceNumber }) => sequenceNumber === packet.sequenceNumber)) return 'duplicate';
    const ahead = unwrapNear(packet.sequenceNumber, first.sequenceNumber, sequenceModulus) - first.sequenceNumber;
    if (Math.abs(ahead) > this.#maxSpread) return 'another';
    this.#packets.push(packet);
    return this.count > 1 && (this.count >= followPackets || packet.arrivalMs - first.arrivalMs >= followMs) ? 'complete' : 'held';
  }

  /** The present stream goes on. True once it has so long that another cannot have taken its place. */
  outlived(): boolean {
    if (this.count > 0) this.#since++;
    return this.#since >= followPackets;
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
