// A caller whose packets stop has ended the utterance; a server that was held up has not.
import { readFileSync } from 'node:fs';
import { Subject } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { callerPipeline } from '../../../src/pipeline/caller-pipeline.ts';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { featureCount } from '../../../src/pipeline/mel.ts';
import type { RawRtp } from '../../../src/sfu/types.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
const track = { callId: 'call', participantId: 'person', trackId: 'track', codec };
const prior = {
  mean: new Float32Array(featureCount),
  std: new Float32Array(featureCount).fill(1),
  meanWeightFrames: 50,
  stdWeightFrames: 100,
  memoryFrames: 1000,
};
const spec = { windowFrames: 60, contextFrames: 20, hopFrames: 10, minSpeechFrames: 10, prior };
const clip = readOggOpus(readFileSync('assets/demo/1050_IWL_FEA_XX.opus')).packets;
const packetMs = 20;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A pipeline that has heard the caller begin to speak. */
async function speaking() {
  const decoder = createDecoder(codec);
  const packets = new Subject<RawRtp>();
  const states: string[] = [];
  const subscription = packets.pipe(callerPipeline({ track, spec, decoder })).subscribe((output) => {
    if (output.kind === 'speech') states.push(output.change.state);
  });
  await decoder.ready;
  let sent = 0;
  const send = (): void => {
    const fields = { sequenceNumber: sent, timestamp: sent * 960, ssrc: 1, payloadType: 100, payload: clip[sent]! };
    packets.next({ data: writeRtp(fields), arrivalMs: sent * packetMs });
    sent += 1;
  };
  while (states.length === 0) {
    send();
    vi.advanceTimersByTime(packetMs);
  }
  return { states, send, close: () => subscription.unsubscribe() };
}

describe('a caller in mid-speech', () => {
  it('ends the utterance where no packet comes any more', async () => {
    const { states, close } = await speaking();
    vi.advanceTimersByTime(375);
    expect(states).toEqual(['start', 'end']);
    vi.advanceTimersByTime(10_000);
    expect(states).toEqual(['start', 'end']);
    close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes on where the server was held up, and looks for packets before it reads those that wait', async () => {
    const { states, send, close } = await speaking();
    for (let held = 0; held < 5; held += 1) {
      // One look, however late, and then what came in the meantime.
      vi.advanceTimersByTime(125);
      send();
    }
    expect(states).toEqual(['start']);
    close();
  });
});
