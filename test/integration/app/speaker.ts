// A caller whose every packet a test may tamper with: speaks clips without end, a packet each 20 ms.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { writeRtp, type RtpFields } from '../../../tools/audio/rtp-writer.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';
import type { Sfu } from '../../../src/sfu/sfu.ts';

/** What goes out in place of a packet; an empty list for nothing. */
export type Tamper = (fields: RtpFields, index: number) => readonly Uint8Array[];

/** Sends what it would: the packet as it is. */
export const asItIs: Tamper = (fields) => [writeRtp(fields)];

const packetMs = 20;
const silence = Uint8Array.of(0xf8, 0xff, 0xfe);
const pause = Array<Uint8Array>(40).fill(silence);

/** A caller of plain RTP. */
export class Speaker {
  readonly participantId: string;
  /** Applied from the next packet on. */
  tamper: Tamper = asItIs;
  readonly #socket = createSocket('udp4');
  readonly #remote: { readonly ip: string; readonly port: number };
  readonly #ssrc: number;
  readonly #payloads: readonly Uint8Array[];
  readonly #timer: NodeJS.Timeout;
  readonly #startMs = performance.now();
  #index = 0;
  #closed = false;

  private constructor(participantId: string, remote: { readonly ip: string; readonly port: number }, ssrc: number, clipPath: string) {
    this.participantId = participantId;
    this.#remote = remote;
    this.#ssrc = ssrc;
    this.#payloads = [...readOggOpus(readFileSync(clipPath)).packets, ...pause];
    this.#timer = setInterval(() => this.#sendDue(), packetMs);
  }

  /** Joins a call, with consent, and speaks. */
  static async join(sfu: Sfu, callId: string, participantId: string, ssrc: number, clipPath: string): Promise<Speaker> {
    const who = { callId, participantId, displayName: 'Someone', role: 'guest', consent: 'granted' as const };
    const remote = await sfu.addPlainParticipant({ ...who, ssrc, payloadType: 100, mimeType: 'audio/opus' });
    return new Speaker(participantId, remote, ssrc, clipPath);
  }

  /** Packets from one beginning of the clip to the next, 20 ms each. */
  get loopPackets(): number {
    return this.#payloads.length;
  }

  /** Tampers with the next `count` packets, then goes on as before; resolves when they are sent. */
  async tamperWith(count: number, tamper: Tamper): Promise<void> {
    const until = this.#index + count;
    await new Promise<void>((resolve) => {
      this.tamper = (fields, index) => {
        if (index < until) return tamper(fields, index);
        this.tamper = asItIs;
        resolve();
        return asItIs(fields, index);
      };
    });
  }

  /** Stops sending. Safe twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #sendDue(): void {
    while (this.#startMs + this.#index * packetMs <= performance.now()) {
      const index = this.#index++;
      const payload = this.#payloads[index % this.#payloads.length] ?? silence;
      const fields = { sequenceNumber: index, timestamp: index * 960, ssrc: this.#ssrc, payloadType: 100, payload };
      for (const data of this.tamper(fields, index)) this.#socket.send(data, this.#remote.port, this.#remote.ip);
    }
  }
}
