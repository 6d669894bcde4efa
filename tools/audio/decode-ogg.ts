// Decodes a whole Ogg Opus file with the decoder that serves.
import { createDecoder } from '../../src/pipeline/codec.ts';
import { readOggOpus } from './ogg-opus.ts';

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };

/** The audio of an Ogg Opus file, 16 kHz mono, without the pre-skip. @throws Error if the file is not Ogg Opus. */
export async function decodeOggOpus(file: Uint8Array): Promise<Float32Array> {
  const { packets, preSkipSamples48k, granuleEnd48k } = readOggOpus(file);
  const decoder = createDecoder(codec);
  await decoder.ready;
  try {
    const parts = packets.map((packet) => decoder.decode(packet).samples.slice());
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all.subarray(Math.round(preSkipSamples48k / 3), Math.round(granuleEnd48k / 3));
  } finally {
    decoder.close();
  }
}
