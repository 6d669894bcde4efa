// Sends a call over a line: encoded, lost in part, put in order, decoded and concealed as the server does it.
import { createDecoder } from '../../src/pipeline/codec.ts';
import { Decoder } from '../../src/pipeline/decoder.ts';
import { JitterBuffer } from '../../src/pipeline/jitter-buffer.ts';
import type { PcmChunk, PlayoutItem } from '../../src/pipeline/types.ts';
import { codecs, packetSamples } from '../analyse/media.ts';
import type { Random } from '../callers/random.ts';
import { createOpusEncoder, createPcmuEncoder } from '../evaluate/encoders.ts';
import { burstLoss } from '../evaluate/network.ts';
import type { CallCodec, CallerCondition } from './condition.ts';

/** What of a caller's conditions concerns the line. */
export type LineCondition = Pick<CallerCondition, 'codec' | 'loss'>;

/** As on a phone: half the work of a desktop's encoder, and hardly another sound. */
const opusComplexity = 5;

/** How much later sound comes out than it went in, samples at 16 kHz: the encoder's look-ahead, or the decoder's filter. */
export function lineDelaySamples(codec: CallCodec | null): number {
  if (codec === null) return 0;
  return codec.name === 'opus' ? 104 : 48;
}

/** Sends a call, and gives the chunks that come out, in order. The first and the last packet always arrive. */
export async function transmit(samples: Float32Array, line: LineCondition, random: Random, emit: (chunk: PcmChunk) => void): Promise<void> {
  if (line.codec === null) {
    emit({ startSample: 0, samples, concealed: false, arrivalMs: 0 });
    return;
  }
  const payloads = await encode(samples, line.codec);
  const codec = codecs[line.codec.name];
  const isLost = line.loss === null ? () => false : burstLoss(line.loss.percent, random, line.loss.meanBurstPackets);
  const audio = createDecoder(codec);
  await audio.ready;
  const decoder = new Decoder({ decoder: audio });
  try {
    const buffer = new JitterBuffer({ codec });
    const decode = (item: PlayoutItem): void => {
      decoder.process(item, emit);
    };
    const packetTicks = (packetSamples * codec.clockRateHz) / 16_000;
    payloads.forEach((payload, i) => {
      if (isLost() && i > 0 && i < payloads.length - 1) return;
      const packet = { sequenceNumber: i % 65_536, timestamp: i * packetTicks, ssrc: 1, payloadType: codec.payloadType, marker: i === 0 };
      buffer.process({ ...packet, payload, arrivalMs: 20 * i }, decode);
    });
    buffer.flush(decode);
  } finally {
    decoder.close();
  }
}

async function encode(samples: Float32Array, codec: CallCodec): Promise<Uint8Array[]> {
  const whole = new Float32Array(Math.ceil(samples.length / packetSamples) * packetSamples);
  whole.set(samples);
  const encoder = codec.name === 'opus' ? await createOpusEncoder(codec.kbps, { complexity: opusComplexity }) : createPcmuEncoder();
  try {
    return encoder.encode(whole);
  } finally {
    encoder.close();
  }
}
