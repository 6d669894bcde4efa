// Encoders of the codecs that an evaluation sends clips through.
import { createEncoder } from 'libopus-wasm';
import { packetSamples } from '../analyse/media.ts';
import { encodeMuLaw } from '../audio/mu-law.ts';
import { resample } from '../audio/resample.ts';

/** Encodes one caller's audio, 20 ms a packet. */
export interface PacketEncoder {
  /** Packets of samples at 16 kHz whose number is a multiple of 320. */
  encode(samples: Float32Array): Uint8Array[];
  close(): void;
}

/** G.711 mu-law: a proper low-pass down to 8 kHz, then a byte a sample. */
export function createPcmuEncoder(): PacketEncoder {
  return {
    encode: (samples) => {
      const bytes = encodeMuLaw(resample(samples, 16_000, 8000));
      return packetsOf(bytes, packetSamples / 2);
    },
    close: () => undefined,
  };
}

/** How {@link createOpusEncoder} encodes. */
export interface OpusEncoding {
  /** 0 to 10; browsers use 9 on desktops and 5 on phones. @default 10 */
  readonly complexity?: number;
  /** Whether packets carry in-band FEC of the one before, as if 10 % of them were lost. @default false */
  readonly fec?: boolean;
  /** Whether silence becomes packets of a byte or two, which need not be sent (discontinuous transmission). @default false */
  readonly dtx?: boolean;
}

/** The loss that an encoder with FEC is told to expect, percent. Browsers are told by the far end's RTCP. */
const expectedLossPercent = 10;

/** libopus for voice, mono at 16 kHz, variable bit rate of `kbps` on average, of which FEC takes its share. */
export async function createOpusEncoder(
  kbps: number,
  { complexity = 10, fec = false, dtx = false }: OpusEncoding = {},
): Promise<PacketEncoder> {
  const encoder = await createEncoder({
    channels: 1,
    sampleRate: 16_000,
    frameSize: packetSamples,
    application: 2048,
    bitrate: kbps * 1000,
    complexity,
    dtx,
    ...(fec ? { fec, packetLossPercent: expectedLossPercent } : {}),
  });
  return {
    encode: (samples) => packetsOf(samples, packetSamples).map((frame) => encoder.encodeFloat(frame).slice()),
    close: () => {
      encoder.free();
    },
  };
}

function packetsOf<T extends Uint8Array | Float32Array>(all: T, size: number): T[] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.subarray(i * size, (i + 1) * size) as T);
}
