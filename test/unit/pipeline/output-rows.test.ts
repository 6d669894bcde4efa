// What a thread says, as numbers: all of it comes back, in order.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SentOutput, SentWindow } from '../../../src/pipeline/pool/messages.ts';
import { OutputRows, readOutputs } from '../../../src/pipeline/pool/output-rows.ts';

const number = fc.double({ noNaN: true });
const window: fc.Arbitrary<SentWindow> = fc.record({
  startSample: number,
  endSample: number,
  endFrame: number,
  hopFrames: number,
  frameCount: number,
  contextFrames: number,
  featureCount: number,
  speechRatio: number,
  concealedRatio: number,
  arrivalMs: number,
});
const output: fc.Arbitrary<SentOutput> = fc.oneof(
  fc.record({ kind: fc.constant('window' as const), originMs: number, window, blocks: fc.array(fc.nat(), { maxLength: 20 }) }),
  fc.record({
    kind: fc.constant('speech' as const),
    originMs: number,
    change: fc.record({ state: fc.constantFrom('start' as const, 'end' as const), atSample: number, arrivalMs: number }),
  }),
);

function write(rows: OutputRows, ref: number, said: SentOutput): void {
  if (said.kind === 'window') rows.window(ref, said.originMs, said.window, said.blocks);
  else rows.speech(ref, said.originMs, said.change);
}

describe('output rows', () => {
  it('bring back whatever callers said, turn by turn', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.tuple(fc.nat(), output), { minLength: 1, maxLength: 60 })), (turns) => {
        const rows = new OutputRows();
        for (const turn of turns) {
          for (const [ref, said] of turn) write(rows, ref, said);
          const taken = rows.take();
          const read: [number, SentOutput][] = [];
          readOutputs(taken ?? new Float64Array(), (ref, said) => read.push([ref, said]));
          expect(read).toEqual(turn);
          expect(taken?.buffer.byteLength).toBe(taken?.byteLength);
        }
      }),
    );
  });

  it('are none where nobody said anything', () => {
    expect(new OutputRows().take()).toBeNull();
  });
});
