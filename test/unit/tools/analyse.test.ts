// Recordings to timelines, with the model that ships.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { analyse, type Analysis } from '../../../tools/analyse/analyse.ts';
import { formats } from '../../../tools/analyse/formats.ts';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { resample } from '../../../tools/audio/resample.ts';
import { writeWav } from '../../../tools/audio/wav.ts';

// The real model hears real clips, perhaps on a loaded machine.
vi.setConfig({ testTimeout: 60_000 });

const demo = new URL('../../../assets/demo/', import.meta.url).pathname;
const angry = `${demo}1015_IEO_ANG_HI.opus`;
const sad = `${demo}1090_IOM_SAD_XX.opus`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-analyse-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('analyse', () => {
  it('hears in a WAV file of another rate what it hears in the Opus file', async () => {
    const wide = resample(await samplesOf(await readRecording(angry)), 16_000, 44_100);
    const wav = join(folder, 'angry.wav');
    writeFileSync(wav, writeWav({ sampleRateHz: 44_100, channels: [wide, wide] }));
    const { events, callers, model } = await analyse([angry, wav]);
    expect(model).toMatch(/^emonet \d/);
    expect(callers.map(({ participantId }) => participantId)).toEqual(['1015_IEO_ANG_HI', 'angry']);
    expect(callers[0]?.durationMs).toBe(callers[1]?.durationMs);
    const [first, second] = callers.map(({ participantId }) =>
      events.filter((event) => event.type === 'segment').find((event) => event.participantId === participantId),
    );
    expect(first).toMatchObject({ label: 'anger' });
    expect(second).toMatchObject({ label: 'anger' });
    // Resampling twice takes the top of the highest band away, and a verdict is sharpened, which widens what that changes.
    expect(Math.abs(first!.confidence - second!.confidence)).toBeLessThan(0.2);
    expect(Math.abs(first!.atMs - second!.atMs)).toBeLessThanOrEqual(40);
  });

  it('says the same each time, and of a file the same in company as alone', async () => {
    const together = await analyse([angry, sad, angry]);
    expect(await analyse([angry, sad, angry])).toEqual(together);
    const alone = await analyse([sad]);
    const ofSad = together.events.filter(({ participantId }) => participantId === '1090_IOM_SAD_XX');
    expect(ofSad.map(({ type, atMs }) => [type, atMs])).toEqual(alone.events.map(({ type, atMs }) => [type, atMs]));
    expect(together.callers.map(({ participantId }) => participantId)).toEqual(['1015_IEO_ANG_HI', '1090_IOM_SAD_XX', '1015_IEO_ANG_HI-2']);
    expect(together.events.map(({ atMs }) => atMs)).toEqual(together.events.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
  });

  it('scores every window, a hop apart within an utterance', async () => {
    const { events, labels } = await analyse([angry]);
    const points = events.filter((event) => event.type === 'point');
    expect(points.length).toBeGreaterThan(3);
    for (const point of points) {
      expect(point.hopMs).toBe(240);
      expect(Object.keys(point.probabilities)).toEqual(labels);
      expect(Object.values(point.probabilities).reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 4);
    }
    const segments = events.filter((event) => event.type === 'segment');
    expect(segments.reduce((sum, segment) => sum + segment.points, 0)).toBe(points.length);
  });

  it('has nothing to say of silence', async () => {
    const wav = join(folder, 'silence.wav');
    writeFileSync(wav, writeWav({ sampleRateHz: 8000, channels: [new Float32Array(16_000)] }));
    expect((await analyse([wav])).events).toEqual([]);
  });

  it.each([
    ['a file that is not there', 'missing.wav', null, 'cannot be read'],
    ['another format', 'notes.mp3', Buffer.from('ID3 and so on'), 'Expected a WAV, FLAC or Ogg Opus file'],
    ['an empty file', 'empty.wav', Buffer.alloc(0), 'Expected a WAV, FLAC or Ogg Opus file'],
    ['a recording without audio', 'none.wav', writeWav({ sampleRateHz: 16_000, channels: [new Float32Array()] }), 'got an empty one'],
    ['a damaged Opus file', 'cut.opus', Buffer.from('OggS\0'), 'a page header is cut off'],
  ])('refuses %s', async (_, name, bytes, message) => {
    const path = join(folder, name);
    if (bytes !== null) writeFileSync(path, bytes);
    await expect(analyse([angry, path])).rejects.toThrow(message);
    await expect(analyse([path])).rejects.toThrow(name);
  });
});

describe('formats', () => {
  const said = { atMs: 3_723_456, startMs: 1000, label: 'anger', confidence: 0.755, probabilities: { anger: 0.755, neutral: 0.245 } };
  const analysis: Analysis = {
    model: 'm 1',
    labels: ['anger', 'neutral'],
    callers: [],
    events: [
      { type: 'speech', atMs: 1000, participantId: 'a,"b"', state: 'start' },
      { type: 'point', participantId: 'a<b', ...said, speechRatio: 1, concealedRatio: 0, hopMs: 240 },
      { type: 'segment', participantId: 'a<b', ...said, points: 1 },
    ],
  };

  it('write CSV that spreadsheets read', () => {
    expect(formats['csv']?.(analysis).split('\r\n')).toEqual([
      'type,caller,start_ms,end_ms,state,label,confidence,anger,neutral',
      'speech,"a,""b""",,1000,start,,,,',
      'point,a<b,1000,3723456,,anger,0.755,0.755,0.245',
      'segment,a<b,1000,3723456,,anger,0.755,0.755,0.245',
      '',
    ]);
  });

  it('write WebVTT with a cue for each segment', () => {
    expect(formats['vtt']?.(analysis)).toBe('WEBVTT\n\n00:00:01.000 --> 01:02:03.456\n<v a&lt;b>anger 76 %\n');
  });

  it('write JSON that holds all of it', () => {
    expect(JSON.parse(formats['json']?.(analysis) ?? '')).toEqual(analysis);
  });
});
