// How many points a server must make of what a caller sent: the same packets, through the server's own front end, without a server.
import type { FrontEndSpec } from '../../src/pipeline/types.ts';
import { codecs } from '../analyse/media.ts';
import { OfflineFrontEnd } from '../analyse/front-end.ts';
import { audioLevelExtensionId, type Casting, type CallerId } from './caller-stream.ts';
import type { LoadOptions } from './options.ts';

/** A caller, how many packets of theirs went out, and which of these were held up by the sender itself (as in `SentTotals`). */
export interface SentCaller {
  readonly caller: CallerId;
  readonly packets: number;
  readonly heldUp: readonly number[];
}

/** Points that a caller's packets give; one number, but where the server's clock decides. */
export interface Expected {
  readonly participantId: string;
  readonly least: number;
  readonly most: number;
}

/**
 * A server looks each 125 ms whether packets came, and takes a caller for silent at the second look in a row that finds none:
 * 250 to 375 ms after the last packet. A busy server looks late.
 */
const surelyOnMs = 240;
const surelySilentMs = 500;
const unsureMs = 300;

/**
 * Plays a caller's packets. Where pauses between packets leave it to chance whether the server takes the caller for silent
 * (DTX, bursts of loss of a dozen packets, a sender that was held up), it is played twice: as if it did each time, and as if it never did.
 */
export async function expectPoints(casting: Casting, sent: SentCaller, codec: LoadOptions['codec'], spec: FrontEndSpec): Promise<Expected> {
  const { participantId } = sent.caller;
  const patient = await play(casting, sent, codec, spec, surelySilentMs);
  if (!patient.unsure) return { participantId, least: patient.points, most: patient.points };
  const hasty = await play(casting, sent, codec, spec, surelyOnMs);
  return { participantId, least: Math.min(patient.points, hasty.points), most: Math.max(patient.points, hasty.points) };
}

async function play(
  casting: Casting,
  { caller, packets, heldUp }: SentCaller,
  codec: LoadOptions['codec'],
  spec: FrontEndSpec,
  silentMs: number,
): Promise<{ readonly points: number; readonly unsure: boolean }> {
  const { participantId, payloadType } = caller;
  const level = casting.audioLevel ? { audioLevelExtensionId } : {};
  const track = { callId: String(caller.call), participantId, trackId: participantId, codec: { ...codecs[codec], payloadType }, ...level };
  let points = 0;
  let unsure = false;
  let speaking = false;
  const onOutput: Parameters<typeof OfflineFrontEnd.open>[2]['onOutput'] = (output) => {
    if (output.kind === 'speech') speaking = output.change.state === 'start';
    // A window that comes when the utterance has ended gives no point.
    else if (speaking) points += 1;
  };
  const frontEnd = await OfflineFrontEnd.open(track, spec, { onOutput });
  const stream = casting.streamOf(caller);
  const held = new Set(heldUp);
  let beforeMs = 0;
  for (let sent = 0; sent < packets; sent += 1) {
    const { rtp, atMs, comfortNoise } = stream.next();
    // The media worker passes on the track's own payload type alone.
    if (comfortNoise) continue;
    // Packets that came too late by the sender's own fault came after a pause of nobody knows what length.
    const pauseMs = held.has(sent) ? Math.max(atMs - beforeMs, unsureMs) : atMs - beforeMs;
    beforeMs = atMs;
    unsure ||= pauseMs > surelyOnMs && pauseMs < surelySilentMs;
    if (pauseMs > silentMs) frontEnd.pause();
    frontEnd.take({ kind: 'rtp', data: rtp, arrivalMs: atMs });
  }
  frontEnd.flush();
  frontEnd.close();
  return { points, unsure };
}
