// What is saved on a caller who mostly listens, by what tells their silence, and how much speech that costs.
import { createDecoder } from '../../src/pipeline/codec.ts';
import { FrontEnd, type FrontEndOptions } from '../../src/pipeline/front-end.ts';
import { createMediaCounts } from '../../src/pipeline/media-counts.ts';
import type { FrontEndSpec } from '../../src/pipeline/types.ts';
import { quietCaller, quietSound, silenceSigns, spokenFrames, type QuietCaller } from './quiet-caller.ts';
import type { BenchmarkResult } from './report.ts';
import { shippedModel } from './speech.ts';

const sound = { seconds: 120, talkSeconds: 5, listenSeconds: 15 };
/** A quiet office behind a headset, dBov. */
const roomDbov = -66;
const rounds = 3;
const silentLogMel = Math.log(1.001e-7);

/** Plays the same caller with and without skipping, round by round. */
export async function measureSkip(): Promise<BenchmarkResult> {
  const { frontEnd } = await shippedModel();
  const spoken = spokenFrames(await quietSound({ ...sound, roomDbov: -Infinity }));
  const noisy = await quietSound({ ...sound, roomDbov });
  const rows: Record<string, string | number>[] = [];
  const failures: string[] = [];
  for (const sign of silenceSigns) {
    const caller = await quietCaller(noisy, sign);
    const [all, skipping] = [[] as Played[], [] as Played[]];
    for (let round = 0; round < rounds; round += 1) {
      all.push(await play(caller, frontEnd, false));
      skipping.push(await play(caller, frontEnd, true));
    }
    const [before, after] = [least(all), least(skipping)];
    const [sounding, left] = [await soundingFrames(caller, frontEnd, false), await soundingFrames(caller, frontEnd, true)];
    const heard = sounding.flatMap((sounds, frame) => (sounds && spoken[frame] === true ? [frame] : []));
    const lost = heard.filter((frame) => left[frame] !== true).length;
    if (lost > 0.002 * heard.length) failures.push(`${sign}: ${String(lost)} of ${String(heard.length)} frames of speech were skipped`);
    rows.push({
      'silence told by': sign,
      packets: caller.packets.length,
      'decoded %': (100 * (caller.packets.length - after.skippedPackets)) / caller.packets.length,
      'us a second of call': after.cpuUs / sound.seconds,
      'without skipping': before.cpuUs / sound.seconds,
      'times as much': before.cpuUs / after.cpuUs,
      'frames of speech': heard.length,
      'of them skipped': lost,
    });
  }
  const about = `The front end of a caller who speaks a quarter of ${String(sound.seconds)} s, in a room of ${String(roomDbov)} dBov; least CPU time of ${String(rounds)} interleaved rounds. At most 0.2 % of the frames of speech may be skipped.`;
  return { name: 'skip', about, rows, failures };
}

interface Played {
  readonly cpuUs: number;
  readonly skippedPackets: number;
}

/** Nobody asks for single frames, as where a server hears a caller. */
async function play(caller: QuietCaller, spec: FrontEndSpec, skipSilence: boolean): Promise<Played> {
  const counts = createMediaCounts();
  const frontEnd = await open(caller, { spec, skipSilence, counts });
  const take = (): void => undefined;
  const before = process.cpuUsage();
  for (const packet of caller.packets) frontEnd.process(packet, take);
  frontEnd.flush(take);
  const { user, system } = process.cpuUsage(before);
  frontEnd.close();
  return { cpuUs: user + system, skippedPackets: counts.skippedSamples / 320 };
}

/** Which frames hold any sound. */
async function soundingFrames(caller: QuietCaller, spec: FrontEndSpec, skipSilence: boolean): Promise<readonly boolean[]> {
  const sounding: boolean[] = [];
  const frontEnd = await open(caller, {
    ...{ spec, skipSilence },
    onFrame: ({ logMel }) => sounding.push(logMel.some((value) => value > silentLogMel)),
  });
  for (const packet of caller.packets) frontEnd.process(packet, () => undefined);
  frontEnd.flush(() => undefined);
  frontEnd.close();
  return sounding;
}

async function open({ codec }: QuietCaller, options: Omit<FrontEndOptions, 'track' | 'decoder'>): Promise<FrontEnd> {
  const decoder = createDecoder(codec);
  await decoder.ready;
  return new FrontEnd({ ...options, decoder, track: { callId: 'quiet', participantId: 'p', trackId: 't', codec } });
}

function least(rounds: readonly Played[]): Played {
  return rounds.reduce((best, one) => (one.cpuUs < best.cpuUs ? one : best));
}
