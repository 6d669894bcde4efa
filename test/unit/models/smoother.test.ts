import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GapTracker } from '../../../src/models/gap-tracker.ts';
import { Hysteresis } from '../../../src/models/hysteresis.ts';
import { Smoother, type SmoothingOptions } from '../../../src/models/smoother.ts';
import type { ScoredWindow } from '../../../src/models/types.ts';
import { featureWindow, hopSamples, tinyManifest, track } from './support.ts';

const labels = tinyManifest.labels;

/** A posterior with the named shares; the rest is spread evenly. */
function posterior(shares: Record<string, number>): Float32Array {
  const named = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const rest = (1 - named) / (labels.length - Object.keys(shares).length);
  return Float32Array.from(labels, (label) => shares[label] ?? rest);
}

function scored(hop: number, probabilities: Float32Array, hopFactor = 1): ScoredWindow {
  const { blocks: _blocks, ...window } = featureWindow({ hop, hopFactor, arrivalMs: 1000 + hop });
  return { window, posterior: { probabilities } };
}

function smoother(options: SmoothingOptions = {}): Smoother {
  return new Smoother({ ...options, manifest: tinyManifest, track: track('a') });
}

/** Submits and scores the window that ends at this hop. */
function score(target: Smoother, hop: number, shares: Record<string, number>, hopFactor = 1) {
  target.submitted({ endSample: hop * hopSamples });
  return target.scored(scored(hop, posterior(shares), hopFactor));
}

const start = (hop: number) => ({ state: 'start' as const, atSample: hop * hopSamples });
const end = (hop: number) => ({ state: 'end' as const, atSample: hop * hopSamples });

describe('Smoother points', () => {
  it('says of the first window what the model says', () => {
    const target = smoother();
    target.speech(start(0));
    const point = score(target, 1, { fear: 0.7 });
    expect(point).toMatchObject({ track: track('a'), startSample: 0, endSample: hopSamples, label: 'fear', hopSamples, arrivalMs: 1001 });
    expect(point).toMatchObject({ speechRatio: 1, concealedRatio: 0 });
    expect(point?.confidence).toBeCloseTo(0.7, 6);
    expect(point?.probabilities[0]).toBeCloseTo(0.06, 6);
  });

  it('averages exponentially', () => {
    const target = smoother({ alpha: 0.25 });
    target.speech(start(0));
    score(target, 1, { fear: 0.8 });
    const point = score(target, 2, { fear: 0.4 });
    expect(point?.confidence).toBeCloseTo(0.8 + 0.25 * (0.4 - 0.8), 6);
  });

  it('weighs a window after a wider hop as much as the windows that are missing', () => {
    const [steady, sparse] = [smoother({ alpha: 0.25 }), smoother({ alpha: 0.25 })];
    for (const target of [steady, sparse]) {
      target.speech(start(0));
      score(target, 1, { fear: 0.8 });
    }
    score(steady, 2, { fear: 0.4 });
    score(steady, 3, { fear: 0.4 });
    const [full, wide] = [score(steady, 4, { fear: 0.4 }), score(sparse, 4, { fear: 0.4 }, 3)];
    expect(wide?.confidence).toBeCloseTo(full?.confidence ?? NaN, 6);
    expect([full?.hopSamples, wide?.hopSamples]).toEqual([hopSamples, 3 * hopSamples]);
  });

  it('says nothing of windows that were submitted in silence', () => {
    const target = smoother();
    expect(score(target, 1, { fear: 0.9 })).toBeNull();
    target.speech(start(2));
    expect(score(target, 2, { fear: 0.9 })).toBeNull();
    expect(score(target, 3, { fear: 0.9 })).not.toBeNull();
    target.speech(end(4));
    expect(score(target, 5, { fear: 0.9 })).toBeNull();
  });

  it('still says the point of a window that was submitted in speech and came back after its end', () => {
    const target = smoother();
    target.speech(start(0));
    target.submitted({ endSample: hopSamples });
    target.speech(end(1));
    expect(target.scored(scored(1, posterior({ fear: 0.9 })))?.label).toBe('fear');
  });

  it.each([
    { silence: 'short', resumeAt: 4, confidence: 0.9 + (1 - 0.65 ** 4) * (0.5 - 0.9) },
    { silence: 'long', resumeAt: 8, confidence: 0.5 },
  ])('after a $silence silence begins at $confidence', ({ resumeAt, confidence }) => {
    const target = smoother({ alpha: 0.35, resetAfterSilenceMs: 1000 });
    target.speech(start(0));
    score(target, 1, { fear: 0.9 });
    target.speech(end(2));
    target.speech(start(resumeAt));
    expect(score(target, resumeAt + 1, { fear: 0.5 })?.confidence).toBeCloseTo(confidence, 5);
  });

  it('keeps what was heard before for late windows, also when the next utterance has begun', () => {
    const target = smoother();
    target.speech(start(0));
    score(target, 1, { fear: 0.9 });
    target.submitted({ endSample: 2 * hopSamples });
    target.speech(end(2));
    target.speech(start(20));
    expect(target.scored(scored(2, posterior({ fear: 0.5 })))?.confidence).toBeCloseTo(0.9 + 0.35 * (0.5 - 0.9), 5);
    expect(score(target, 21, { anger: 0.6 })).toMatchObject({ label: 'anger', hopSamples });
  });

  it('is uncertain below the confidence of the manifest, and certain at it', () => {
    const target = smoother();
    target.speech(start(0));
    expect(score(target, 1, { fear: 0.29 })).toMatchObject({ label: 'uncertain' });
    expect(score(smootherInSpeech(), 1, { fear: 0.3001 })).toMatchObject({ label: 'fear' });
  });

  it('ignores a start within speech, an end without speech, and a window that it was not told of', () => {
    const target = smoother();
    target.speech(end(1));
    expect(target.takeSegments()).toEqual([]);
    target.speech(start(1));
    target.speech(start(2));
    expect(score(target, 2, { fear: 0.9 })).not.toBeNull();
    expect(target.scored(scored(9, posterior({ fear: 0.9 })))).toBeNull();
    target.speech(end(3));
    expect(target.takeSegments()).toMatchObject([{ startSample: hopSamples, points: 1 }]);
  });

  it('gives probabilities that sum to 1, says nothing in silence, and one segment an utterance with points', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('submit' as const) }) },
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant('score' as const), weights: fc.array(fc.nat(100), { minLength: 6, maxLength: 6 }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('start' as const, 'end' as const) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const target = smoother();
        const pending: { hop: number; inSpeech: boolean; utterance: number }[] = [];
        const withPoints = new Set<number>();
        const segments: number[] = [];
        let [hop, speaking, utterance] = [0, false, 0];
        for (const one of steps) {
          hop += 1;
          const oldest = one.kind === 'score' || one.kind === 'lose' ? pending.shift() : undefined;
          if (one.kind === 'submit') {
            pending.push({ hop, inSpeech: speaking, utterance });
            target.submitted({ endSample: hop * hopSamples });
          } else if (one.kind === 'score' && oldest !== undefined) {
            const sum = one.weights.reduce((total, weight) => total + weight + 1, 0);
            const point = target.scored(
              scored(
                oldest.hop,
                Float32Array.from(one.weights, (weight) => (weight + 1) / sum),
              ),
            );
            expect(point !== null).toBe(oldest.inSpeech);
            if (point !== null) {
              withPoints.add(oldest.utterance);
              expect(point.probabilities.reduce((total, p) => total + p, 0)).toBeCloseTo(1, 5);
              expect([...labels, 'uncertain']).toContain(point.label);
              expect(point.confidence).toBeLessThanOrEqual(1);
            }
          } else if (one.kind === 'lose' && oldest !== undefined) {
            expect(target.lost({ endSample: oldest.hop * hopSamples })).toBe(oldest.inSpeech);
          } else if (one.kind === 'start' || one.kind === 'end') {
            if (one.kind === 'start' && !speaking) utterance += 1;
            speaking = one.kind === 'start';
            target.speech({ state: one.kind, atSample: hop * hopSamples });
          }
          for (const segment of target.takeSegments()) segments.push(segment.points);
        }
        for (const segment of target.flush()) {
          segments.push(segment.points);
          expect(segment.probabilities.reduce((total, p) => total + p, 0)).toBeCloseTo(1, 5);
        }
        expect(segments).toHaveLength(withPoints.size);
        expect(segments.every((points) => points > 0)).toBe(true);
        expect(target.outstanding).toBe(0);
      }),
    );
  });
});

describe('Smoother segments', () => {
  it('gives the mean of the raw posteriors at the end of speech, sharpened with the temperature of the manifest', () => {
    const target = smoother();
    target.speech(start(0));
    score(target, 1, { anger: 0.9 });
    score(target, 2, { anger: 0.2, fear: 0.7 });
    score(target, 3, { anger: 0.2, fear: 0.7 });
    expect(target.takeSegments()).toEqual([]);
    target.speech(end(4));
    const [segment, ...others] = target.takeSegments();
    expect(others).toEqual([]);
    expect(segment).toMatchObject({ track: track('a'), startSample: 0, endSample: 4 * hopSamples, label: 'fear', points: 3 });
    const mean = { fear: (0.02 + 0.7 + 0.7) / 3, anger: (0.9 + 0.2 + 0.2) / 3, other: (0.02 + 0.025 + 0.025) / 3 };
    // The tiny model's is 0.5: squares.
    const squares = mean.fear ** 2 + mean.anger ** 2 + 4 * mean.other ** 2;
    expect(segment?.confidence).toBeCloseTo(mean.fear ** 2 / squares, 6);
    expect(target.takeSegments()).toEqual([]);
  });

  it('weighs a window by the hop that it stands for, and says the widest', () => {
    const manifest = { ...tinyManifest, verdictPower: 0, verdictTemperature: 1 };
    const target = new Smoother({ manifest, track: track('a') });
    target.speech(start(0));
    score(target, 1, { fear: 0.9 });
    score(target, 5, { fear: 0.3 }, 4);
    score(target, 6, { fear: 0.9 });
    target.speech(end(6));
    const [segment] = target.takeSegments();
    expect(segment).toMatchObject({ points: 3, hopSamples: 4 * hopSamples });
    expect(segment?.probabilities[labels.indexOf('fear')]).toBeCloseTo((0.9 + 4 * 0.3 + 0.9) / 6, 6);
  });

  it('weighs a window by its share of speech, to the power of the manifest', () => {
    const target = new Smoother({ manifest: { ...tinyManifest, verdictPower: 2, verdictTemperature: 1 }, track: track('a') });
    target.speech(start(0));
    const said: readonly [hop: number, speechRatio: number, fear: number][] = [
      [1, 0.25, 0.9],
      [2, 0.5, 0.2],
    ];
    for (const [hop, speechRatio, fear] of said) {
      const { window, posterior: its } = scored(hop, posterior({ fear }));
      target.submitted(window);
      target.scored({ window: { ...window, speechRatio }, posterior: its });
    }
    target.speech(end(3));
    const [segment] = target.takeSegments();
    // The first weighs a quarter of what the second does.
    expect(segment?.probabilities[tinyManifest.labels.indexOf('fear')]).toBeCloseTo((0.25 * 0.9 + 0.2) / 1.25, 6);
    expect(segment?.points).toBe(2);
  });

  it('weighs a window less, the more of its speech was concealed, also without weights by speech', () => {
    const said: readonly [hop: number, concealedRatio: number, fear: number][] = [
      [1, 0.2, 0.9],
      [2, 0, 0.2],
    ];
    for (const verdictPower of [0, 6]) {
      const target = new Smoother({ manifest: { ...tinyManifest, verdictPower, verdictTemperature: 1 }, track: track('a') });
      target.speech(start(0));
      for (const [hop, concealedRatio, fear] of said) {
        const { window, posterior: its } = scored(hop, posterior({ fear }));
        target.submitted(window);
        target.scored({ window: { ...window, concealedRatio }, posterior: its });
      }
      target.speech(end(3));
      const [segment] = target.takeSegments();
      const weight = 0.8 ** 10;
      expect(segment?.probabilities[tinyManifest.labels.indexOf('fear')]).toBeCloseTo((weight * 0.9 + 0.2) / (1 + weight), 6);
      // How much was made up is told as it is.
      expect(segment?.concealedRatio).toBeCloseTo(0.1, 9);
    }
  });

  it('gives a verdict on nothing but concealed speech', () => {
    const target = smoother();
    target.speech(start(0));
    const { window, posterior: its } = scored(1, posterior({ fear: 0.7 }));
    target.submitted(window);
    target.scored({ window: { ...window, concealedRatio: 1 }, posterior: its });
    target.speech(end(2));
    expect(target.takeSegments()).toMatchObject([{ label: 'fear', concealedRatio: 1 }]);
  });

  it('waits for windows of the utterance that are still under way, scored or lost', () => {
    const target = smoother();
    target.speech(start(0));
    score(target, 1, { fear: 0.5 });
    target.submitted({ endSample: 2 * hopSamples });
    target.submitted({ endSample: 3 * hopSamples });
    target.speech(end(3));
    expect(target.takeSegments()).toEqual([]);
    target.scored(scored(2, posterior({ fear: 0.7 })));
    expect(target.takeSegments()).toEqual([]);
    expect(target.lost({ endSample: 3 * hopSamples })).toBe(true);
    const [segment] = target.takeSegments();
    expect(segment?.points).toBe(2);
    expect(segment?.confidence).toBeCloseTo(0.6 ** 2 / (0.6 ** 2 + 5 * 0.08 ** 2), 6);
  });

  it('gives no segment for an utterance without points', () => {
    const target = smoother();
    target.speech(start(0));
    target.speech(end(1));
    expect(target.takeSegments()).toEqual([]);
  });

  it('keeps the order of utterances whose windows are late', () => {
    const target = smoother();
    target.speech(start(0));
    target.submitted({ endSample: hopSamples });
    target.speech(end(1));
    target.speech(start(2));
    target.submitted({ endSample: 3 * hopSamples });
    target.speech(end(3));
    target.scored(scored(3, posterior({ fear: 0.5 })));
    expect(target.takeSegments()).toEqual([]);
    target.scored(scored(1, posterior({ anger: 0.5 })));
    expect(target.takeSegments().map(({ label }) => label)).toEqual(['anger', 'fear']);
  });

  it('does not depend on when scores come back', () => {
    const shares = [{ anger: 0.6 }, { fear: 0.8 }, { neutral: 0.5 }];
    const prompt = smootherInSpeech();
    for (const [index, share] of shares.entries()) score(prompt, index + 1, share);
    prompt.speech(end(4));
    const late = smootherInSpeech();
    for (const index of shares.keys()) late.submitted({ endSample: (index + 1) * hopSamples });
    late.speech(end(4));
    late.speech(start(30));
    for (const [index, share] of shares.entries()) late.scored(scored(index + 1, posterior(share)));
    expect(late.takeSegments()).toEqual(prompt.takeSegments());
  });

  it('ends what is being said when it is flushed, at the last point', () => {
    const target = smootherInSpeech();
    score(target, 1, { fear: 0.5 });
    target.submitted({ endSample: 2 * hopSamples });
    expect(target.flush()).toMatchObject([{ startSample: 0, endSample: hopSamples, points: 1, label: 'fear' }]);
    expect(target.outstanding).toBe(0);
    expect(target.flush()).toEqual([]);
  });
});

describe('Hysteresis', () => {
  const options = { switchMargin: 0.2, leadMargin: 0.05, switchPoints: 3 };

  it('switches after as much time at a wider hop', () => {
    const target = new Hysteresis(options);
    const challenge = [0.45, 0.55];
    expect(target.next([0.6, 0.4])).toBe(0);
    expect(target.next(challenge, 2)).toBe(0);
    expect(target.next(challenge, 2)).toBe(1);
  });

  it.each([
    { name: 'holds the first leader', values: [[0.6, 0.4]], held: [0] },
    {
      name: 'switches at once by the margin',
      values: [
        [0.6, 0.4],
        [0.4, 0.61],
      ],
      held: [0, 1],
    },
    {
      name: 'ignores a lead that is too small',
      values: [[0.6, 0.4], ...Array<number[]>(9).fill([0.48, 0.52])],
      held: Array<number>(10).fill(0),
    },
    {
      name: 'switches after three leads in a row',
      values: [
        [0.6, 0.4],
        [0.45, 0.55],
        [0.45, 0.55],
        [0.45, 0.55],
      ],
      held: [0, 0, 0, 1],
    },
    {
      name: 'counts anew after the held class led again',
      values: [
        [0.6, 0.4],
        [0.45, 0.55],
        [0.45, 0.55],
        [0.55, 0.45],
        [0.45, 0.55],
        [0.45, 0.55],
      ],
      held: [0, 0, 0, 0, 0, 0],
    },
    {
      name: 'counts anew for another challenger',
      values: [
        [0.4, 0.3, 0.3],
        [0.3, 0.4, 0.3],
        [0.3, 0.4, 0.3],
        [0.3, 0.3, 0.4],
        [0.3, 0.3, 0.4],
        [0.3, 0.3, 0.4],
      ],
      held: [0, 0, 0, 0, 0, 2],
    },
    {
      name: 'does not flicker between near equals',
      values: [
        [0.51, 0.49],
        [0.49, 0.51],
        [0.51, 0.49],
        [0.49, 0.51],
      ],
      held: [0, 0, 0, 0],
    },
  ])('$name', ({ values, held }) => {
    const hysteresis = new Hysteresis(options);
    expect(values.map((one) => hysteresis.next(one))).toEqual(held);
  });
});

describe('GapTracker', () => {
  const lost = (target: GapTracker, hop: number, fate: 'superseded' | 'expired' | 'failed') => target.lost(featureWindow({ hop }), fate);
  const gap = (from: number, to: number, reason: string) => ({
    track: track('a'),
    startSample: from * hopSamples,
    endSample: to * hopSamples,
    reason,
  });

  it.each([
    ['expired', 'overload'],
    ['failed', 'engine'],
  ] as const)('makes a window that %s a gap of reason %s once the next is scored', (fate, reason) => {
    const target = new GapTracker({ frameSamples: tinyManifest.hopSamples });
    expect(lost(target, 5, fate)).toBeNull();
    expect(target.settle()).toEqual(gap(4, 5, reason));
    expect(target.settle()).toBeNull();
  });

  it('makes no gap of a superseded window alone', () => {
    const target = new GapTracker({ frameSamples: tinyManifest.hopSamples });
    expect(lost(target, 5, 'superseded')).toBeNull();
    expect(target.settle()).toBeNull();
  });

  it('makes a gap of a second of superseded windows, and one each second of an outage', () => {
    const target = new GapTracker({ frameSamples: tinyManifest.hopSamples });
    const gaps = [1, 2, 3, 4].map((hop) => lost(target, hop, 'superseded'));
    expect(gaps).toEqual([null, null, null, gap(0, 4, 'overload')]);
    const outage = [5, 6, 7, 8, 9].map((hop) => lost(target, hop, 'failed'));
    expect(outage).toEqual([null, null, null, gap(4, 8, 'engine'), null]);
    expect(target.settle()).toEqual(gap(8, 9, 'engine'));
  });

  it('blames the engine where it had a part', () => {
    const target = new GapTracker({ frameSamples: tinyManifest.hopSamples });
    lost(target, 1, 'failed');
    lost(target, 2, 'superseded');
    expect(target.settle()).toEqual(gap(0, 2, 'engine'));
  });
});

function smootherInSpeech(): Smoother {
  const target = smoother();
  target.speech(start(0));
  return target;
}
