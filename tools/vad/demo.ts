// Speech that the repository holds, for timing.
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { readRecording, samplesOf } from '../audio/recording.ts';

/** So many seconds of the demo's clips, 16 kHz. */
export async function demoSpeech(seconds: number): Promise<Float32Array> {
  const folder = fileURLToPath(new URL('../../assets/demo/', import.meta.url));
  const samples = new Float32Array(seconds * 16_000);
  let at = 0;
  for (const name of (await readdir(folder)).filter((each) => each.endsWith('.opus')).toSorted()) {
    if (at >= samples.length) break;
    const clip = await samplesOf(await readRecording(join(folder, name)));
    samples.set(clip.subarray(0, samples.length - at), at);
    at += clip.length;
  }
  return samples;
}
