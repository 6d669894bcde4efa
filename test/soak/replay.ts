// Works out what the front end must have made of a caller's packets, from the caller's seed alone.
import { createDecoder } from '../../src/pipeline/codec.ts';
import { Decoder } from '../../src/pipeline/decoder.ts';
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { JitterBuffer } from '../../src/pipeline/jitter-buffer.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import { SpeechDetector } from '../../src/pipeline/speech-detector.ts';
import type { FrontEndSpec, PipelineOutput, PlayoutItem } from '../../src/pipeline/types.ts';
import { WindowAssembler } from '../../src/pipeline/window-assembler.ts';
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

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
const track = { callId: 'replay', participantId: 'replay', trackId: 'replay', codec };

/**
 * Sends a caller's first packets through the stages of a pipeline, on a network without loss or delay. The first
 * `unheard` of them came before the tap was open. Positions are the callers' own nevertheless.
 */
export async function replay(spec: CallerSpec, packets: number, unheard: number, frontEnd: FrontEndSpec): Promise<Replay> {
  const { caller } = createCasting()(spec);
  const audio = createDecoder(codec);
  await audio.ready;
  const buffer = new JitterBuffer({ codec });
  const decoder = new Decoder({ decoder: audio });
  const extractor = new FeatureExtractor();
  const detector = new SpeechDetector();
  const assembler = new WindowAssembler(track, frontEnd);
  const said: Replay['said'][number][] = [];
  const speech: Replay['speech'][number][] = [];
  const windowEnds: number[] = [];
  let idleWindows = 0;

  let offsetSamples = 0;
  const keep = (output: PipelineOutput): void => {
    if (output.kind === 'speech') {
      const { state, atSample } = output.change;
      speech.push({ state, atSample: offsetSamples + atSample });
    } else if (speech.at(-1)?.state === 'start') {
      windowEnds.push(offsetSamples + output.window.endSample);
    } else {
      idleWindows += 1;
    }
  };
  const take = (item: PlayoutItem): void => {
    decoder.process(item, (chunk) => {
      extractor.process(chunk, (frame) => {
        detector.process(frame, (detected) => {
          assembler.process(detected, keep);
        });
      });
    });
  };

  for (let sent = 0; sent < packets; sent += 1) {
    const arrivalMs = caller.positionSamples / 16;
    const { rtp, began } = caller.next();
    if (began !== null) said.push(began);
    if (sent < unheard) {
      offsetSamples = caller.positionSamples;
      continue;
    }
    const packet = parseRtp({ data: rtp, arrivalMs });
    if (typeof packet === 'string') throw new Error(`Expected RTP, got a packet with a fault: ${packet}`);
    buffer.process(packet, take);
  }
  // The callers have hung up.
  buffer.pause(take);
  detector.pause((detected) => {
    assembler.process(detected, keep);
  });
  decoder.close();
  return { said, speech, windowEnds, idleWindows };
}
