// The figures of voice activity: areas, utterances and their errors, and the labels that they are taken against.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeOggOpus } from '../../../../tools/audio/decode-ogg.ts';
import { createRandom } from '../../../../tools/callers/random.ts';
import { addNoise, whiteNoise } from '../../../../tools/evaluate/noise.ts';
import { speechLabels } from '../../../../tools/vad/labels.ts';
import { areaUnderRoc, pooled, recallAt } from '../../../../tools/vad/roc.ts';
import { fillPauses } from '../../../../tools/vad/room-tone.ts';
import { layOut } from '../../../../tools/vad/track.ts';
import { tones } from '../../../../tools/vad/tones.ts';
import { compareUtterances, hysteresis, utterancesOf } from '../../../../tools/vad/utterances.ts';

const clip = await decodeOggOpus(readFileSync('assets/demo/1015_IEO_ANG_HI.opus'));

describe('the area under the ROC curve', () => {
  it('is how often speech has the higher score, ties counting half', () => {
    const random = createRandom(3);
    const scores = Float32Array.from({ length: 200 }, () => Math.floor(random() * 9));
    const labels = Uint8Array.from({ length: 200 }, () => (random() < 0.4 ? 1 : 0));
    let [sum, pairs] = [0, 0];
    labels.forEach((one, i) => {
      labels.forEach((other, j) => {
        if (one !== 1 || other !== 0) return;
        pairs += 1;
        sum += scores[i]! > scores[j]! ? 1 : scores[i] === scores[j] ? 0.5 : 0;
      });
    });
    expect(areaUnderRoc({ scores, labels })).toBeCloseTo(sum / pairs, 10);
  });

  it('is of all parts as one, and the recall keeps to its share of false alarms', () => {
    const one = { scores: Float32Array.of(0.9, 0.1), labels: Uint8Array.of(1, 0) };
    const other = { scores: Float32Array.of(0.4, 0.6), labels: Uint8Array.of(1, 0) };
    expect(areaUnderRoc(pooled([one, other]))).toBe(0.75);
    const scores = Float32Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? i : i - 20));
    const labels = Uint8Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 1 : 0));
    const threshold = [...scores].filter((_, i) => labels[i] === 0).toSorted((a, b) => a - b)[95]!;
    expect(recallAt({ scores, labels }, 0.05)).toBe([...scores].filter((score, i) => labels[i] === 1 && score > threshold).length / 100);
  });
});

describe('utterances', () => {
  it('close gaps that are shorter than what ends one', () => {
    expect(utterancesOf(Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 1), 3)).toEqual([
      { start: 1, end: 6 },
      { start: 9, end: 10 },
    ]);
    expect(hysteresis(Float32Array.of(0, 0.6, 0.4, 0.4, 0.1, 0.1, 0.4, 0.9), 0.5, 0.3, 2)).toEqual([
      { start: 1, end: 4 },
      { start: 7, end: 8 },
    ]);
  });

  it('are told late or early, missed and invented', () => {
    const labelled = [
      { start: 10, end: 20 },
      { start: 50, end: 60 },
    ];
    const detected = [
      { start: 8, end: 12 },
      { start: 15, end: 23 },
      { start: 80, end: 90 },
    ];
    expect(compareUtterances(labelled, detected)).toEqual({ starts: [-2], ends: [3], missed: 1, invented: 1 });
  });
});

describe('labels', () => {
  it('do not move with the level, and lie within the clip', () => {
    const labels = speechLabels(clip);
    const weak = speechLabels(clip.map((sample) => 0.1 * sample));
    expect(labels.filter((label) => label === 1).length).toBeGreaterThan(60);
    expect(labels[0]).toBe(0);
    expect(labels.filter((label, i) => label !== weak[i]).length).toBeLessThanOrEqual(4);
  });

  it('move with the clip, and say nothing of silence', () => {
    const padded = new Float32Array(clip.length + 1600);
    padded.set(clip, 1600);
    expect(speechLabels(padded).indexOf(1)).toBe(speechLabels(clip).indexOf(1) + 10);
    expect(speechLabels(new Float32Array(16_000)).includes(1)).toBe(false);
  });

  it('are of the clean clip: in noise they would be others', async () => {
    const noisy = addNoise(clip, await whiteNoise(clip.length, createRandom(1)), 0);
    const differing = speechLabels(noisy).filter((label, i) => label !== speechLabels(clip)[i]).length;
    expect(differing).toBeGreaterThan(10);
  });
});

describe('tones', () => {
  it('are of power 1 and the same from the same seed', () => {
    for (const seed of [1, 2, 3, 4]) {
      const made = tones(32_000, createRandom(seed));
      expect(made.reduce((sum, sample) => sum + sample * sample, 0) / made.length).toBeCloseTo(1, 3);
      expect(tones(32_000, createRandom(seed))).toEqual(made);
    }
  });
});

describe('the room of a clip', () => {
  it('goes on through its pauses at its own level, and the clip stays as it is', () => {
    const { samples, labels, spans } = layOut([clip], () => 200);
    const before = samples.slice();
    fillPauses(samples, labels, spans, createRandom(5));
    const [span] = spans;
    const end = span!.startSample + span!.sampleCount;
    expect(samples.subarray(span!.startSample, end)).toEqual(before.subarray(span!.startSample, end));
    const power = (part: Float32Array): number => part.reduce((sum, sample) => sum + sample * sample, 0) / part.length;
    // The clip's first 0.3 s are before its speech.
    const room = power(before.subarray(span!.startSample, span!.startSample + 4800));
    for (const part of [samples.subarray(0, span!.startSample), samples.subarray(end)]) {
      expect(10 * Math.abs(Math.log10(power(part) / room))).toBeLessThan(4);
      expect(part.every((sample) => Math.abs(sample) < 0.1)).toBe(true);
    }
  });
});
