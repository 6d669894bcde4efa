// Where utterances are said to begin and end, for levels and probabilities that are known.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { energyFloor } from '../../../src/pipeline/feature-extractor.ts';
import { melBands } from '../../../src/pipeline/mel.ts';
import { levelDb, silenceDb, UtteranceEdges } from '../../../src/pipeline/utterance-edges.ts';

interface Said {
  readonly levelDb: number;
  readonly probability: number;
  readonly concealed?: boolean;
}

/** A frame of this level in the bands that count. */
function frame(level: number): Float32Array {
  return new Float32Array(melBands).fill(Math.max(Math.log(energyFloor), (level * Math.LN10) / 10 - Math.log(56)));
}

function frames(count: number, level: number, probability: number): Said[] {
  return Array.from({ length: count }, () => ({ levelDb: level, probability }));
}

/** Takes all of them; what is said of a frame is known at once here. */
function remember(edges: UtteranceEdges, said: readonly Said[], from = 0): void {
  said.forEach(({ levelDb: level, probability, concealed = false }, i) => {
    edges.take(from + i, frame(level), concealed);
    edges.judge(from + i, concealed ? 0 : probability);
  });
}

describe('levelDb', () => {
  it('is the level of a frame to 0.2 dB, and below the least for digital silence', () => {
    expect(levelDb(frame(-200))).toBeLessThan(silenceDb);
    fc.assert(
      fc.property(fc.array(fc.float({ min: -16, max: 12, noNaN: true }), { minLength: melBands, maxLength: melBands }), (nepers) => {
        const logMel = Float32Array.from(nepers);
        const energy = logMel.subarray(2, 58).reduce((sum, value) => sum + Math.exp(value), 0);
        expect(Math.abs(levelDb(logMel) - 10 * Math.log10(energy))).toBeLessThan(0.2);
      }),
    );
  });
});

describe('UtteranceEdges', () => {
  it('puts a soft start where the level rose, which the network took up late', () => {
    const edges = new UtteranceEdges();
    remember(edges, [...frames(60, -40, 0), ...frames(20, -5, 0.05), ...frames(8, 10, 0.9)]);
    expect(edges.start(80)).toBe(60);
  });

  it('follows what is less loud only where it may be speech', () => {
    const rise = (probability: number): number => {
      const edges = new UtteranceEdges();
      remember(edges, [...frames(60, -20, 0), ...frames(10, -2, probability), ...frames(8, 10, 0.9)]);
      return edges.start(70);
    };
    expect(rise(0.2)).toBe(60);
    expect(rise(0.05)).toBe(70);
  });

  it('leaves a start in noise, or after a level that has been there for long, to the network', () => {
    const noisy = new UtteranceEdges();
    remember(noisy, [...frames(60, 0, 0.2), ...frames(10, 8, 0.3), ...frames(8, 12, 0.9)]);
    expect(noisy.start(70)).toBe(70);
    const steady = new UtteranceEdges();
    remember(steady, [...frames(30, -40, 0), ...frames(80, -2, 0.2), ...frames(8, 40, 0.9)]);
    expect(steady.start(110)).toBe(110);
  });

  it('puts an end where the level fell, sooner or later than the network was last sure', () => {
    const endOf = (tail: readonly Said[], lastSure: number): number => {
      const edges = new UtteranceEdges();
      remember(edges, [...frames(50, -30, 0), ...frames(8, 10, 0.9)]);
      edges.start(50);
      remember(edges, [...frames(60, 10, 0.9), ...tail], 58);
      return edges.end(lastSure);
    };
    // It holds on for 80 ms; it lets a soft last sound of 100 ms go.
    expect(endOf([...frames(8, -28, 0.45), ...frames(40, -30, 0.02)], 125)).toBe(118);
    expect(endOf([...frames(10, -5, 0.2), ...frames(40, -30, 0.02)], 117)).toBe(128);
  });

  it('leaves an end that is forced at once where the network was last sure', () => {
    const edges = new UtteranceEdges();
    remember(edges, [...frames(50, -30, 0), ...frames(30, 10, 0.9)]);
    edges.start(50);
    expect(edges.end(79)).toBe(80);
  });

  it('takes nothing that was made up for loud', () => {
    const edges = new UtteranceEdges();
    const made = frames(20, -5, 0.3).map((said) => ({ ...said, concealed: true }));
    remember(edges, [...frames(60, -40, 0), ...made, ...frames(8, 10, 0.9)]);
    expect(edges.start(80)).toBe(80);
  });

  it('never goes back before the end of the utterance before, nor beyond what was heard', () => {
    const piece = fc.record({
      count: fc.integer({ min: 1, max: 60 }),
      level: fc.integer({ min: -75, max: 45 }),
      p: fc.float({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(fc.array(piece, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 }), (utterances) => {
        const edges = new UtteranceEdges();
        let seen = 0;
        let lastEnd = 0;
        for (const pieces of utterances) {
          const before = pieces.flatMap(({ count, level, p }) => frames(count, level, p));
          remember(edges, [...before, ...frames(8, 10, 0.9)], seen);
          const onset = seen + before.length;
          seen = onset + 8;
          const start = edges.start(onset);
          expect(start).toBeGreaterThanOrEqual(lastEnd);
          expect(start).toBeLessThanOrEqual(onset);
          const after = [...pieces.toReversed().flatMap(({ count, level, p }) => frames(count, level, p)), ...frames(41, -60, 0)];
          remember(edges, after, seen);
          const lastSure = seen + Math.floor((after.length - 41) / 2);
          edges.sure(lastSure);
          seen += after.length;
          const end = edges.end(lastSure);
          expect(end).toBeGreaterThan(start);
          expect(end).toBeLessThanOrEqual(seen);
          lastEnd = end;
        }
      }),
      { numRuns: 500 },
    );
  });
});
