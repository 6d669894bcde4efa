// A caller who mostly listens: real speech now and then in a quiet room, as packets of what senders send.
import { createEncoder } from 'libopus-wasm';
import { sampleRateHz, type RtpPacket } from '../../src/pipeline/types.ts';
import type { TrackCodec } from '../../src/sfu/types.ts';
import { codecs, packetSamples } from '../analyse/media.ts';
import { meanPower } from '../audio/level.ts';
import { createRandom } from '../callers/random.ts';
import { createOpusEncoder, createPcmuEncoder } from '../evaluate/encoders.ts';
import { speechSamples } from './speech.ts';

/** How packets of silence can be told: by RFC 6464, by SILK's voice bits, because they are not sent, by G.711's codes. */
export const silenceSigns = ['audio level', 'voice bits', 'dtx', 'g711'] as const;

/** One of {@link silenceSigns}. */
export type SilenceSign = (typeof silenceSigns)[number];

/** Frames of the clean clips louder than this are speech: 20 dB below its usual level. */
const spokenDbov = -45;

/** What is sent. */
export interface QuietCaller {
  readonly codec: TrackCodec;
  readonly packets: readonly RtpPacket[];
}

/** How a quiet caller sounds. */
export interface QuietSound {
  readonly seconds: number;
  /** Speech and then silence, s, over and over. */
  readonly talkSeconds: number;
  readonly listenSeconds: number;
  /** Level of the room's noise, dBov; -Infinity for none. */
  readonly roomDbov: number;
}

/** Speech of the demo's clips in a room, 16 kHz mono. */
export async function quietSound({ seconds, talkSeconds, listenSeconds, roomDbov }: QuietSound): Promise<Float32Array> {
  const speech = await speechSamples(Math.ceil((seconds * talkSeconds) / (talkSeconds + listenSeconds)) + talkSeconds);
  const random = createRandom(5);
  // Uniform noise of width 2 a has a power of a^2 / 3.
  const amplitude = Math.sqrt(3) * 10 ** (roomDbov / 20);
  const samples = Float32Array.from({ length: seconds * sampleRateHz }, () => amplitude * (2 * random() - 1));
  const periodSamples = (talkSeconds + listenSeconds) * sampleRateHz;
  for (let at = 0, from = 0; at < samples.length; at += periodSamples, from += talkSeconds * sampleRateHz) {
    const start = at + listenSeconds * sampleRateHz;
    for (let i = 0; i < talkSeconds * sampleRateHz && start + i < samples.length; i += 1) {
      samples[start + i] = (samples[start + i] ?? 0) + (speech[from + i] ?? 0);
    }
  }
  return samples;
}

/** Which frames of 25 ms, each 10 ms, hold speech: those of the clips without a room that are loud enough. */
export function spokenFrames(clean: Float32Array): boolean[] {
  return Array.from({ length: Math.floor((clean.length - 400) / 160) + 1 }, (_, frame) => {
    let energy = 0;
    for (let i = 0; i < 400; i += 1) energy += (clean[frame * 160 + i] ?? 0) ** 2;
    return 10 * Math.log10(energy / 400 + 1e-13) > spokenDbov;
  });
}

/** Packets of 20 ms in which silence can be told in that way and no other. */
export async function quietCaller(samples: Float32Array, sign: SilenceSign): Promise<QuietCaller> {
  const codec = sign === 'g711' ? codecs.pcmu : codecs.opus;
  const payloads = await encode(samples, sign);
  const packets = payloads.flatMap((payload, index): RtpPacket[] => {
    if (payload === null) return [];
    const level = 10 * Math.log10(meanPower(samples.subarray(index * packetSamples, (index + 1) * packetSamples)) + 1e-13);
    const said = sign === 'audio level' ? { audioLevelDbov: Math.max(-127, Math.round(level)) } : {};
    const timestamp = (index * packetSamples * codec.clockRateHz) / sampleRateHz;
    return [
      { sequenceNumber: 0, timestamp, ssrc: 1, payloadType: codec.payloadType, marker: false, payload, arrivalMs: index * 20, ...said },
    ];
  });
  return { codec, packets: packets.map((packet, index) => ({ ...packet, sequenceNumber: index % 65_536 })) };
}

/** A payload each 20 ms; null where the sender sends none. */
async function encode(samples: Float32Array, sign: SilenceSign): Promise<(Uint8Array | null)[]> {
  if (sign === 'g711') return createPcmuEncoder().encode(samples);
  if (sign !== 'dtx') {
    const encoder = await createOpusEncoder(24);
    const payloads = encoder.encode(samples);
    encoder.close();
    return payloads;
  }
  const encoder = await createEncoder({
    ...{ channels: 1, sampleRate: sampleRateHz, frameSize: packetSamples, application: 2048, bitrate: 24_000, dtx: true },
  });
  const payloads = Array.from({ length: samples.length / packetSamples }, (_, index) => {
    const payload = encoder.encodeFloat(samples.subarray(index * packetSamples, (index + 1) * packetSamples));
    // As WebRTC does: what is no more than its first two bytes is not sent.
    return payload.length <= 2 ? null : payload.slice();
  });
  encoder.free();
  return payloads;
}
