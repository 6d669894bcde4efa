// Finds where in a recording somebody speaks, as the server's own detector hears it.
import { frontEndSpec, loadManifest } from '../../src/models/manifest.ts';
import { hopSamples } from '../../src/pipeline/feature-extractor.ts';
import type { FrontEndSpec } from '../../src/pipeline/types.ts';
import { OfflineFrontEnd } from '../analyse/front-end.ts';
import { codecs, packetSamples } from '../analyse/media.ts';
import { shippedModelDir } from '../analyse/play.ts';

/** Packets before and after what was heard that belong to it. */
const marginPackets = 2;

let spec: Promise<FrontEndSpec> | undefined;

/**
 * The packets of 20 ms from the first that holds speech up to the last, `to` not included; none of a recording without speech.
 * Who has the turn begins it by speaking: a talk ratio of 1 would be half silence otherwise, for that is what actors' clips are.
 */
export async function spokenPackets(samples: Float32Array): Promise<{ readonly from: number; readonly to: number }> {
  spec ??= loadManifest(shippedModelDir).then(({ manifest }) => frontEndSpec(manifest));
  let [first, last] = [Infinity, -1];
  const track = { callId: 'clip', participantId: 'clip', trackId: 'clip', codec: codecs.pcm };
  const frontEnd = await OfflineFrontEnd.open(track, await spec, {
    onOutput: () => undefined,
    onFrame: ({ index, speech }) => {
      if (!speech) return;
      first = Math.min(first, index);
      last = index;
    },
  });
  for (let at = 0; at < samples.length; at += packetSamples) {
    frontEnd.take({ kind: 'pcm', samples: samples.subarray(at, at + packetSamples), arrivalMs: at / 16 });
  }
  frontEnd.flush();
  frontEnd.close();
  if (last < 0) return { from: 0, to: 0 };
  const packetOf = (frame: number): number => Math.floor((frame * hopSamples) / packetSamples);
  const packets = Math.ceil(samples.length / packetSamples);
  return { from: Math.max(0, packetOf(first) - marginPackets), to: Math.min(packets, packetOf(last) + 1 + marginPackets) };
}
