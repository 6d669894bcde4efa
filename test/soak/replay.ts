// Works out what the front end must have made of a caller's packets, from the caller's seed alone.
import { createDecoder } from '../../src/pipeline/codec.ts';
import type { FrontEndSpec } from '../../src/pipeline/types.ts';
import { callersCodec, PlainPipeline } from '../../tools/bench/plain-pipeline.ts';
import { createCasting } from '../../tools/callers/casting.ts';
import type { CallerSpec, Said } from '../../tools/callers/types.ts';

/** What a caller said, and what must be heard of it. */
export interface Replay {
  readonly said: readonly Omit<Said, 'participantId' | 'startedAtUnixMs'>[];
  /** Where speech began and ended, samples at 16 kHz from the caller's first packet. */
  readonly speech: readonly { readonly state: 'start' | 'end'; readonly atSample: number }[];
  /** Where the windows end that must give a point, samples. */
  readonly windowEnds: readonly number[];
  /** Windows that come when the end of speech is known already, and give none. */
  readonly idleWindows: number;
}

/**
 * Sends a caller's first packets through the stages of a pipeline, on a network without loss or delay, and hangs up. The
 * first `unheard` of them came before the tap was open. Positions are the callers' own nevertheless.
 */
export async function replay(spec: CallerSpec, packets: number, unheard: number, frontEnd: FrontEndSpec): Promise<Replay> {
  const { caller } = createCasting()(spec);
  const decoder = createDecoder(callersCodec);
  await decoder.ready;
  const said: Replay['said'][number][] = [];
  const speech: Replay['speech'][number][] = [];
  const windowEnds: number[] = [];
  let idleWindows = 0;
  let offsetSamples = 0;
  const pipeline = new PlainPipeline(frontEnd, decoder, (output) => {
    if (output.kind === 'speech') {
      const { state, atSample } = output.change;
      speech.push({ state, atSample: offsetSamples + atSample });
    } else if (speech.at(-1)?.state === 'start') {
      windowEnds.push(offsetSamples + output.window.endSample);
    } else {
      idleWindows += 1;
    }
  });
  for (let sent = 0; sent < packets; sent += 1) {
    const arrivalMs = caller.positionSamples / 16;
    const { rtp, began } = caller.next();
    if (began !== null) said.push(began);
    if (sent < unheard) offsetSamples = caller.positionSamples;
    else pipeline.take(rtp, arrivalMs);
  }
  pipeline.pause();
  decoder.close();
  return { said, speech, windowEnds, idleWindows };
}
