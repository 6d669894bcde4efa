// Rooms, noise and microphones of copied callers, measured again from what comes out.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { speechPower } from '../../../tools/audio/level.ts';
import { writeWav } from '../../../tools/audio/wav.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { equalizerGain, type Equalizer } from '../../../tools/features/condition.ts';
import { babble, colours, createNoise, mayTrain, readNoises, type NoiseKind } from '../../../tools/features/noise.ts';
import { prepareResponse, readRooms, roomResponse } from '../../../tools/features/rooms.ts';
import { surround } from '../../../tools/features/surroundings.ts';
import { lagOf, levelDb, readClip } from './clips.ts';

const clips = await Promise.all(['1015_IEO_ANG_HI', '1020_DFA_NEU_XX', '1030_DFA_SAD_XX'].map(readClip));
const spans = clips.map((clip, i) => ({
  startSample: clips.slice(0, i).reduce((sum, { length }) => sum + length + 9600, 0),
  sampleCount: clip.length,
}));
const call = new Float32Array(clips.reduce((sum, { length }) => sum + length + 9600, 0));
clips.forEach((clip, i) => {
  call.set(clip, spans[i]?.startSample);
});
const flat: Equalizer = { gainsDb: [0, 0, 0, 0, 0, 0], lowCutHz: 1, highCutHz: 100_000 };
const soft = { gainDb: -12, equalizer: flat };
/** A decay of noise, 300 ms, after 50 ms of nothing: a made-up room. */
const random = createRandom(5);
const recordedRoom = Float32Array.from({ length: 8000 }, (_, i) =>
  i < 800 ? 0 : i === 800 ? 0.8 : (random() - 0.5) * 0.3 * Math.exp(-(i - 800) / 1000),
);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-surroundings-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function writeRecording(path: string, samples: Float32Array): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, writeWav({ sampleRateHz: 16_000, channels: [samples] }));
}

describe('noise of ESC-10', () => {
  it('may train on folds 1 to 4 and never on fold 5, which evaluation keeps', () => {
    expect(['1-17367-A.opus', '4-187384-B.wav', '2-37806-C-40.flac'].filter(mayTrain)).toHaveLength(3);
    expect(['5-157204-A.opus', '5-9032-A-0.wav', '1015_DFA_DIS_XX.wav', 'x1-1-A.wav', '15-1-A.wav'].filter(mayTrain)).toEqual([]);
  });

  it('reads classes from folders and from official names, without fold 5', async () => {
    const own = join(folder, 'own');
    for (const name of ['rain/1-17367-A.wav', 'rain/5-181766-A.wav', 'dog-bark/3-100-B.wav', 'audio/2-37806-C-40.wav']) {
      writeRecording(join(own, name), clips[0] ?? new Float32Array());
    }
    const kinds = await readNoises(own);
    const files = kinds.map((kind) => [kind.name, kind.source === 'recordings' ? kind.files.map((file) => basename(file)) : []]);
    expect(Object.fromEntries(files)).toEqual({ rain: ['1-17367-A.wav'], 'dog-bark': ['3-100-B.wav'], class40: ['2-37806-C-40.wav'] });
  });

  it('says so where there is nothing to train on', async () => {
    const held = join(folder, 'held');
    writeRecording(join(held, '5-181766-A.wav'), clips[0] ?? new Float32Array());
    await expect(readNoises(held)).rejects.toThrow('got only fold 5');
    await expect(readNoises(join(folder, 'absent'))).rejects.toThrow('cannot be read');
  });
});

describe('surround', () => {
  const voices = clips.map((clip) => () => Promise.resolve(clip));

  async function noiseAlone(kind: NoiseKind, ratioDb: number, spreadDb?: number): Promise<Float32Array> {
    const noise = { make: createNoise(kind, voices), ratioDb, ...(spreadDb === undefined ? {} : { spreadDb }) };
    const noisy = await surround(call, spans, { room: null, noise }, soft, createRandom(3));
    const quiet = await surround(call, spans, { room: null, noise: null }, soft, createRandom(3));
    return noisy.map((sample, i) => sample - (quiet[i] ?? 0));
  }

  it.each([...colours, babble])('adds $name at the ratio to the speech that was asked for, within 3 dB a clip', async (kind) => {
    const speechDb = clips.reduce((sum, clip) => sum + 10 * Math.log10(speechPower(clip)), 0) / clips.length - 12;
    const noise = await noiseAlone(kind, 10);
    spans.forEach(({ startSample }, i) => {
      const stretch = noise.subarray(startSample, spans[i + 1]?.startSample ?? noise.length);
      expect(Math.abs(speechDb - levelDb(stretch) - 10)).toBeLessThan(3.3);
    });
  });

  it('goes on through the pauses', async () => {
    const noise = await noiseAlone(colours[0] ?? babble, 10);
    const [first, second] = spans;
    const pause = noise.subarray((first?.sampleCount ?? 0) + 1000, (second?.startSample ?? 0) - 1000);
    expect(Math.abs(levelDb(pause) - levelDb(noise.subarray(1000, first?.sampleCount)))).toBeLessThan(0.5);
  });

  it('draws another stretch of noise for each clip', async () => {
    const noise = await noiseAlone(babble, 5);
    const [a, b] = spans.map(({ startSample }) => noise.subarray(startSample + 500, startSample + 8500));
    expect(a).toBeDefined();
    expect(a).not.toEqual(b);
  });

  it('lets noise come and go by as much as asked for', async () => {
    const noise = await noiseAlone(colours[0] ?? babble, 10, 15);
    const levels = spans.map(({ startSample }, i) => levelDb(noise.subarray(startSample, spans[i + 1]?.startSample ?? noise.length)));
    const spread = Math.max(...levels) - Math.min(...levels);
    expect(spread).toBeGreaterThan(6.6);
    expect(spread).toBeLessThan(30.6);
  });

  it('takes a silent call as it is', async () => {
    const silent = new Float32Array(call.length);
    const noise = { make: createNoise(colours[0] ?? babble, []), ratioDb: 0 };
    const heard = await surround(silent, spans, { room: null, noise }, soft, createRandom(3));
    expect(heard.every((sample) => sample === 0)).toBe(true);
  });

  it('has a microphone that changes the level by its gain alone where it is flat, and clips at full scale', async () => {
    const heard = await surround(call, spans, { room: null, noise: null }, soft, createRandom(3));
    expect(levelDb(heard) - levelDb(call)).toBeCloseTo(-12, 1);
    expect(lagOf(heard, call, 20)).toBe(0);
    const loud = await surround(call, spans, { room: null, noise: null }, { gainDb: 40, equalizer: flat }, createRandom(3));
    expect(loud.reduce((most, sample) => Math.max(most, sample))).toBe(1);
    expect(loud.reduce((least, sample) => Math.min(least, sample))).toBe(-1);
  });

  it('keeps a voice in time in a room, at about its level', async () => {
    const room = prepareResponse(recordedRoom);
    const heard = await surround(call, spans, { room, noise: null }, soft, createRandom(3));
    expect(Math.abs(lagOf(heard, call, 100))).toBeLessThanOrEqual(5);
    expect(Math.abs(levelDb(heard) - levelDb(call) + 12)).toBeLessThan(4);
  });
});

describe('equalizerGain', () => {
  it('is smooth, 0 dB on average where speech is, and falls outside the band', () => {
    const equalizer = { gainsDb: [5, -5, 5, -5, 5, -5], lowCutHz: 200, highCutHz: 3400 };
    const gainDb = (hz: number): number => 20 * Math.log10(equalizerGain(equalizer, hz));
    for (let hz = 50; hz < 8000; hz *= 1.02) expect(Math.abs(gainDb(hz * 1.02) - gainDb(hz))).toBeLessThan(1.2);
    expect(
      [250, 600, 1400, 3200].reduce(
        (sum, hz) => sum + 20 * Math.log10(equalizerGain({ ...equalizer, lowCutHz: 1, highCutHz: 1e5 }, hz)),
        0,
      ),
    ).toBeCloseTo(0, 5);
    expect(gainDb(50)).toBeLessThan(-15);
    expect(gainDb(7000)).toBeLessThan(-20);
  });
});

describe('rooms', () => {
  it('begin at the direct sound, end with the tail, and have an energy of 1', () => {
    const response = prepareResponse(recordedRoom);
    const energy = response.reduce((sum, sample) => sum + sample * sample, 0);
    expect(energy).toBeCloseTo(1, 5);
    expect(response.indexOf(Math.max(...response))).toBe(4);
    expect(response.length).toBeLessThan(7200);
    expect(response.length).toBeGreaterThan(2000);
  });

  it('are mixed with the voice itself, in time with it', async () => {
    const rooms = join(folder, 'rooms');
    writeRecording(join(rooms, 'made-up room.wav'), recordedRoom);
    const [room] = await readRooms(rooms);
    if (room === undefined) throw new Error('Expected a room');
    expect(room.name).toBe('made-up_room');
    const tailShare = async (wetShare: number): Promise<number> => {
      const response = await roomResponse(room, wetShare);
      const energy = (part: Float32Array): number => part.reduce((sum, sample) => sum + sample * sample, 0);
      return energy(response.subarray(20)) / energy(response);
    };
    expect(await tailShare(0.3)).toBeLessThan(0.5 * (await tailShare(1)));
  });

  it('says so where there are none, or one is silent', async () => {
    mkdirSync(join(folder, 'empty'), { recursive: true });
    await expect(readRooms(join(folder, 'empty'))).rejects.toThrow('got none');
    expect(() => prepareResponse(new Float32Array(100))).toThrow('got silence');
  });
});
