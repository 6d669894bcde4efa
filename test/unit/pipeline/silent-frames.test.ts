// Digital silence that is taken in one go, against the same frame by frame: nothing that comes out may differ.
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FrontEnd } from '../../../src/pipeline/front-end.ts';
import { SpeechDetector } from '../../../src/pipeline/speech-detector.ts';
import type { FrontEndSpec, PipelineOutput } from '../../../src/pipeline/types.ts';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { opus, spec } from './packets.ts';

const clip = await samplesOf(await readRecording('assets/demo/1050_IWL_FEA_XX.opus'));
const track = { callId: 'call', participantId: 'person', trackId: 'track', codec: opus };
const mostSpeech = 24_000;
const mostSilence = 80_000;

/** Something that one caller's front end is given. */
type Part =
  | { readonly kind: 'speech'; readonly from: number; readonly samples: number }
  | { readonly kind: 'silence' | 'lost'; readonly samples: number }
  | { readonly kind: 'stall' };

const part: fc.Arbitrary<Part> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('speech' as const),
      from: fc.nat(clip.length - 1),
      samples: fc.integer({ min: 1, max: mostSpeech }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('silence' as const), samples: fc.integer({ min: 1, max: mostSilence }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lost' as const), samples: fc.integer({ min: 1, max: 8000 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'stall' as const }) },
);

/** What comes of the parts, in chunks of so many samples; `each`: every frame is asked for, so that none can be skipped. */
function run(parts: readonly Part[], numbers: Partial<FrontEndSpec>, chunkSamples: number, each: boolean): PipelineOutput[] {
  const frontEnd = new FrontEnd({ track, spec: { ...spec, ...numbers }, decoder: null, onFrame: each ? () => undefined : undefined });
  const outputs: PipelineOutput[] = [];
  const take = (output: PipelineOutput): void => {
    // What windows hold is used again.
    outputs.push(structuredClone(output));
  };
  let startSample = 0;
  for (const one of parts) {
    if (one.kind === 'stall') {
      frontEnd.pause(take);
      continue;
    }
    const samples = one.kind === 'speech' ? clip.subarray(one.from, one.from + one.samples) : new Float32Array(one.samples);
    for (let at = 0; at < samples.length; at += chunkSamples) {
      const chunk = samples.subarray(at, at + chunkSamples);
      frontEnd.processSamples({ startSample, samples: chunk, concealed: one.kind === 'lost', arrivalMs: 1000 + startSample / 16 }, take);
      startSample += chunk.length;
    }
  }
  frontEnd.flush(take);
  frontEnd.close();
  return outputs;
}

describe('frames of digital silence', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('change nothing by being taken in one go, whatever comes before and behind them', () => {
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 12 }),
        fc.record({
          pitch: fc.boolean(),
          windowFrames: fc.constantFrom(20, 60, 240),
          hopFrames: fc.constantFrom(10, 20, 60),
          minSpeechFrames: fc.constantFrom(1, 10),
        }),
        fc.constantFrom(160, 320, 1000, 3840, 16_000),
        (parts, numbers, chunkSamples) => {
          expect(run(parts, numbers, chunkSamples, false)).toEqual(run(parts, numbers, chunkSamples, true));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are so taken behind half a second of them, and words behind them are heard as ever', () => {
    const frames = vi.spyOn(SpeechDetector.prototype, 'process');
    const speech: Part = { kind: 'speech', from: 0, samples: clip.length };
    const silence: Part = { kind: 'silence', samples: 16_000 * 60 };
    const outputs = run([speech, silence, speech], { pitch: true }, 3840, false);
    const spokenFrames = (2 * clip.length) / 160;
    expect(frames.mock.calls.length).toBeGreaterThan(0.9 * spokenFrames);
    // A window's context and the end of an utterance are heard out frame by frame.
    expect(frames.mock.calls.length).toBeLessThan(spokenFrames + 150);
    expect(outputs.filter(({ kind }) => kind === 'speech').length).toBeGreaterThanOrEqual(4);
    frames.mockClear();
    expect(run([speech, silence, speech], { pitch: true }, 3840, true)).toEqual(outputs);
    expect(frames.mock.calls.length).toBeGreaterThan(6000);
  });
});
