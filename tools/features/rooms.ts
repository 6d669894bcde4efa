// Impulse responses of rooms and devices, brought into a form that a caller's voice can be put into.
import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { readRecording, samplesOf } from '../audio/recording.ts';

/** A room by its name and file. */
export interface Room {
  readonly name: string;
  readonly file: string;
}

/** Direct sound: the first sample of at least this share of the loudest. */
const directShare = 0.3;
/** Samples kept before it, for its rise. */
const riseSamples = 4;
/** A tail is cut where less than this share of the energy is left, and after a second at most, over a fade of 20 %. */
const tailShare = 1e-4;
const maxSamples = 16_000;
const fadeShare = 0.2;

/** The impulse responses in a folder. @throws Error if there are none. */
export async function readRooms(folder: string): Promise<Room[]> {
  const names = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new Error(`Expected a folder of impulse responses at ${folder}, but it cannot be read`, { cause });
  });
  const files = names.filter((name) => /\.(?:wav|flac)$/i.test(name)).toSorted();
  if (files.length === 0) throw new Error(`Expected impulse responses (WAV or FLAC) in ${folder}, got none`);
  return files.map((file) => ({ name: basename(file, extname(file)).replaceAll(/[^\w-]/g, '_'), file: join(folder, file) }));
}

/** The response of a room, of which `wetShare` is heard and the rest is the voice itself. */
export async function roomResponse(room: Room, wetShare: number): Promise<Float32Array> {
  return mixRoom(prepareResponse(await samplesOf(await readRecording(room.file))), wetShare);
}

/** Begins at the direct sound, ends where the tail has died away, and has an energy of 1. */
export function prepareResponse(recorded: Float32Array): Float32Array {
  const peak = recorded.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  if (peak === 0) throw new Error('Expected an impulse response with sound, got silence');
  const direct = recorded.findIndex((sample) => Math.abs(sample) >= directShare * peak);
  const from = recorded.subarray(Math.max(0, direct - riseSamples));
  const energy = energyOf(from);
  let end = Math.min(from.length, maxSamples);
  for (let left = energyOf(from.subarray(end)); end > 1 && left < tailShare * energy; end--) left += (from[end - 1] ?? 0) ** 2;
  const response = from.slice(0, end);
  const fade = Math.floor(fadeShare * end);
  for (let i = 0; i < fade; i++) {
    response[end - 1 - i] = (response[end - 1 - i] ?? 0) * (0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / fade));
  }
  return normalise(response);
}

function mixRoom(response: Float32Array, wetShare: number): Float32Array {
  const mixed = response.map((sample) => sample * wetShare);
  // The voice itself is in time with the direct sound.
  const direct = Math.min(riseSamples, mixed.length - 1);
  const sign = (response[direct] ?? 0) < 0 ? -1 : 1;
  mixed[direct] = (mixed[direct] ?? 0) + sign * (1 - wetShare);
  return normalise(mixed);
}

function normalise(response: Float32Array): Float32Array {
  const gain = 1 / Math.sqrt(energyOf(response));
  return response.map((sample) => sample * gain);
}

function energyOf(samples: Float32Array): number {
  return samples.reduce((sum, sample) => sum + sample * sample, 0);
}
