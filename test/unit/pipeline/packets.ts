// Packets of real speech for the front end's tests: good ones, and all that can be wrong with them.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { FrontEndSpec, MediaCounts } from '../../../src/pipeline/types.ts';
import type { RawRtp, TrackCodec } from '../../../src/sfu/types.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';
import { writeRtp, type RtpFields } from '../../../tools/audio/rtp-writer.ts';

export const opus: TrackCodec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
export const pcmu: TrackCodec = { mimeType: 'audio/pcmu', clockRateHz: 8000, channels: 1, payloadType: 0 };
export const featureCount = 104;

export const spec: FrontEndSpec = {
  windowFrames: 60,
  contextFrames: 20,
  hopFrames: 10,
  minSpeechFrames: 10,
  prior: {
    mean: new Float32Array(featureCount),
    std: new Float32Array(featureCount).fill(1),
    meanWeightFrames: 50,
    stdWeightFrames: 100,
    memoryFrames: 1000,
  },
};

const clip = readOggOpus(readFileSync('assets/demo/1050_IWL_FEA_XX.opus')).packets;
export const silence = Uint8Array.of(0xf8, 0xff, 0xfe);
export const packetMs = 20;
/** Half a second of silence, a clip, and a second of silence. */
export const speech: readonly Uint8Array[] = [...Array<Uint8Array>(25).fill(silence), ...clip, ...Array<Uint8Array>(50).fill(silence)];

/** The fields of a caller's packet number `index`; the sequence and the timestamp wrap within the clip. */
export function fieldsOf(index: number, ssrc = 7): RtpFields {
  const payload = speech[index] ?? silence;
  return { sequenceNumber: 65_500 + index, timestamp: 2 ** 32 - 40_000 + index * 960, ssrc, payloadType: opus.payloadType, payload };
}

export function raw(data: Uint8Array, index: number): RawRtp {
  return { data, arrivalMs: 1000 + index * packetMs };
}

export const goodPackets = speech.map((_, index) => raw(writeRtp(fieldsOf(index)), index));

/** Packets that met a fate; at the end of a track, all of them. */
export function fated(counts: MediaCounts): number {
  const { played, late, duplicate, malformed, ignored, overflow } = counts;
  return played + late + duplicate + malformed + ignored + overflow;
}

/** Something that is done to a packet, or to all from it on. */
type Fault =
  | { readonly kind: 'drop' | 'twice' | 'late' | 'wrong-type' | 'empty' }
  | { readonly kind: 'garbage'; readonly bytes: Uint8Array }
  | { readonly kind: 'cut'; readonly bytes: number }
  | { readonly kind: 'flip'; readonly bits: readonly number[] }
  | { readonly kind: 'sequence-jump' | 'timestamp-jump' | 'new-ssrc'; readonly by: number };

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constantFrom('drop' as const, 'twice' as const, 'late' as const, 'wrong-type' as const, 'empty' as const) }),
  fc.record({ kind: fc.constant('garbage' as const), bytes: fc.uint8Array({ maxLength: 200 }) }),
  fc.record({ kind: fc.constant('cut' as const), bytes: fc.nat(60) }),
  fc.record({ kind: fc.constant('flip' as const), bits: fc.array(fc.nat(8 * 80), { minLength: 1, maxLength: 6 }) }),
  fc.record({ kind: fc.constantFrom('sequence-jump' as const, 'new-ssrc' as const), by: fc.nat(65_535) }),
  fc.record({ kind: fc.constant('timestamp-jump' as const), by: fc.integer({ min: -200_000, max: 200_000 }) }),
);

export const faults = fc.array(fc.record({ at: fc.nat(speech.length - 1), fault }), { minLength: 1, maxLength: 25 });

/** The caller's packets with these faults. */
export function broken(list: readonly { readonly at: number; readonly fault: Fault }[]): RawRtp[] {
  const byIndex = new Map(list.map(({ at, fault: what }) => [at, what]));
  const out: RawRtp[] = [];
  let held: RawRtp | null = null;
  let [sequenceShift, timestampShift, ssrc] = [0, 0, 7];
  for (let index = 0; index < speech.length; index += 1) {
    const what = byIndex.get(index);
    if (what?.kind === 'sequence-jump') sequenceShift += what.by;
    if (what?.kind === 'timestamp-jump') timestampShift += what.by;
    if (what?.kind === 'new-ssrc') ssrc = what.by;
    const fields = fieldsOf(index, ssrc);
    let data = writeRtp({
      ...fields,
      sequenceNumber: fields.sequenceNumber + sequenceShift,
      timestamp: fields.timestamp + timestampShift,
      ...(what?.kind === 'wrong-type' ? { payloadType: 13 } : {}),
      ...(what?.kind === 'empty' ? { payload: new Uint8Array() } : {}),
    });
    if (what?.kind === 'garbage') data = what.bytes;
    if (what?.kind === 'cut') data = data.slice(0, what.bytes);
    if (what?.kind === 'flip') {
      for (const bit of what.bits) {
        const byte = Math.floor(bit / 8) % data.length;
        data[byte] = (data[byte] ?? 0) ^ (1 << (bit % 8));
      }
    }
    const packet = raw(data, index);
    if (what?.kind === 'late') held = packet;
    else if (what?.kind !== 'drop') out.push(packet);
    if (what?.kind === 'twice') out.push(packet);
    if (held !== null && held !== packet && index % 4 === 3) {
      out.push({ ...held, arrivalMs: packet.arrivalMs });
      held = null;
    }
  }
  return out;
}
