// Makes callers from what is told of them: the same each time, so that what they sent can be worked out again afterwards.
import { readFileSync } from 'node:fs';
import { readOggOpus } from '../audio/ogg-opus.ts';
import { Caller, type LoadedClip } from './caller.ts';
import { createOwnFloor, createSharedFloor, type Floor } from './floor.ts';
import { createRandom } from './random.ts';
import type { CallerSpec } from './types.ts';

/** A caller and what it was made from. */
export interface CastCaller {
  readonly spec: CallerSpec;
  readonly caller: Caller;
}

/**
 * Returns a function that makes callers, which share the clips and the floors that they have in common. Without a ratio
 * each speaks as it likes, and what it sends depends on its seed and clips alone.
 */
export function createCasting(talkRatio?: number): (spec: CallerSpec) => CastCaller {
  const clips = new Map<string, LoadedClip>();
  const floors = new Map<string, Floor>();
  const load = (name: string, path: string): LoadedClip => {
    const clip = clips.get(path) ?? { name, audio: readOggOpus(readFileSync(path)) };
    clips.set(path, clip);
    return clip;
  };
  const floorOf = ({ turnGroup = '', seed }: CallerSpec): Floor => {
    if (talkRatio === undefined) return createOwnFloor(createRandom(seed ^ 0x5bd1e995));
    const floor = floors.get(turnGroup) ?? createSharedFloor(talkRatio, createRandom(seed ^ 0x5bd1e995));
    floors.set(turnGroup, floor);
    return floor;
  };
  return (spec) => ({
    spec,
    caller: new Caller({
      participantId: spec.participantId,
      ssrc: spec.ssrc,
      payloadType: spec.payloadType,
      clips: spec.clips.map(({ name, path }) => load(name, path)),
      random: createRandom(spec.seed),
      floor: floorOf(spec),
    }),
  });
}
