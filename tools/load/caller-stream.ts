// The packets of one caller of a load test, in order, with the times at which they arrive. No clock, no socket.
import { writeRtp } from '../audio/rtp-writer.ts';
import { createRandom, type Random } from '../callers/random.ts';
import { burstLoss } from '../evaluate/network.ts';
import type { LoadOptions } from './options.ts';
import { listensAt } from './stretches.ts';
import { Turns, type Turn } from './turns.ts';
import { isComfortNoise, type Clip, type VoiceFrame, type Voices } from './voices.ts';

/** What all callers of a run have in common; plain data. */
export interface Cast {
  readonly voices: Voices;
  readonly talkRatio: number;
  /** Share of the callers who listen. */
  readonly listenerShare: number;
  /** How long they listen and talk in turns, s; null: they listen all the time. */
  readonly stretchSeconds: number | null;
  /** Whether nothing at all is sent while they listen in turns. */
  readonly mute: boolean;
  readonly lossPercent: number;
  readonly jitterMs: number;
  /** Whether packets say their level (RFC 6464). */
  readonly audioLevel: boolean;
  readonly seed: number;
  /** Seats of each call. */
  readonly seatsByCall: readonly number[];
}

/** Who is meant, and since when they call; plain data. All that the caller sends follows from it and the cast. */
export interface CallerId {
  readonly participantId: string;
  /** Index of the call, and the seat in it: whoever takes a seat takes the turns that come to it. */
  readonly call: number;
  readonly seat: number;
  /** Frame of the run at which the caller begins to send. */
  readonly startFrame: number;
  readonly ssrc: number;
  readonly payloadType: number;
}

/** A packet that arrives. */
export interface Arriving {
  readonly rtp: Uint8Array;
  /** When, ms after the caller's start: never before the packet before it. */
  readonly atMs: number;
  /** Whether it is comfort noise, which has a payload type of its own. */
  readonly comfortNoise: boolean;
}

/** Of the audio level in the packets of callers who say it; what Chrome gives it. */
export const audioLevelExtensionId = 1;
/** 20 ms. */
export const frameMs = 20;
/** Callers begin within this many frames of each other: four hops, so that their windows do not come all at once. */
export const startSpreadFrames = 48;
const ticksPerFrame: Readonly<Record<LoadOptions['codec'], number>> = { opus: 960, pcmu: 160 };
/** RFC 3551. */
const comfortNoisePayloadType = 13;

/** Makes the streams of a run's callers. Callers of one call share its turns. */
export class Casting {
  readonly #cast: Cast;
  readonly #turns = new Map<number, Turns>();

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  /** Whether packets say their level. */
  get audioLevel(): boolean {
    return this.#cast.audioLevel;
  }

  /** The stream of a caller from its first packet on: the same each time. */
  streamOf(caller: CallerId): CallerStream {
    const { listenerShare, stretchSeconds } = this.#cast;
    const alternates = stretchSeconds !== null && listens(this.#firstOf(caller.call) + caller.seat, listenerShare);
    return new CallerStream(this.#cast, caller, this.#turnsOf(caller.call), alternates ? stretchSeconds : null);
  }

  /** The number of the caller in the first seat of a call. */
  #firstOf(call: number): number {
    return this.#cast.seatsByCall.slice(0, call).reduce((sum, seats) => sum + seats, 0);
  }

  #turnsOf(call: number): Turns {
    const { voices, talkRatio, listenerShare, stretchSeconds, seed, seatsByCall } = this.#cast;
    let turns = this.#turns.get(call);
    if (turns === undefined) {
      const first = this.#firstOf(call);
      const seats = Array.from({ length: seatsByCall[call] ?? 0 }, (_, seat) =>
        stretchSeconds === null && listens(first + seat, listenerShare) ? [] : voiceOf(voices, first + seat),
      );
      turns = new Turns({ seats, talkRatio, seed: mix(seed, call) });
      this.#turns.set(call, turns);
    }
    return turns;
  }
}

/** Sends the frames of its turns, and silence between them; some packets are lost on the way, some come late. */
export class CallerStream {
  readonly #cast: Cast;
  readonly #caller: CallerId;
  readonly #turns: Turns;
  readonly #stretchSeconds: number | null;
  readonly #random: Random;
  readonly #isLost: () => boolean;
  readonly #firstTimestamp: number;
  #sequence: number;
  /** Frames since the caller's start. */
  #frame = 0;
  #silenceFrame = 0;
  /** Null for one who never speaks. */
  #turn: Turn | null;
  #atMs = 0;
  #sent = 0;
  #sentFrameBefore = false;
  #lost = 0;

  /** @param stretchSeconds how long the caller talks and listens in turns; null for one who does not */
  constructor(cast: Cast, caller: CallerId, turns: Turns, stretchSeconds: number | null = null) {
    this.#cast = cast;
    this.#caller = caller;
    this.#turns = turns;
    this.#stretchSeconds = stretchSeconds;
    this.#random = createRandom(mix(cast.seed, caller.ssrc));
    this.#isLost = cast.lossPercent > 0 ? burstLoss(cast.lossPercent, createRandom(mix(cast.seed + 1, caller.ssrc))) : () => false;
    this.#firstTimestamp = Math.floor(this.#random() * 2 ** 32);
    this.#sequence = Math.floor(this.#random() * 2 ** 16);
    this.#turn = turns.next(caller.seat, caller.startFrame);
  }

  /** Packets lost on the way so far. */
  get lost(): number {
    return this.#lost;
  }

  /** The next packet that arrives. */
  next(): Arriving {
    for (;;) {
      const frame = this.#frame++;
      const said = this.#say(this.#caller.startFrame + frame);
      const talkspurt = !this.#sentFrameBefore;
      this.#sentFrameBefore = said !== null;
      if (said === null) continue;
      const { payload, levelDbov } = said;
      const sequenceNumber = this.#sequence++;
      const delayMs = this.#cast.jitterMs * this.#random();
      // The first packet always arrives: it sets the media clock.
      if (this.#isLost() && this.#sent > 0) {
        this.#lost += 1;
        continue;
      }
      this.#sent += 1;
      this.#atMs = Math.max(this.#atMs, frame * frameMs + delayMs);
      const { codec } = this.#cast.voices;
      const comfortNoise = isComfortNoise(codec, payload);
      const rtp = writeRtp({
        sequenceNumber,
        timestamp: this.#firstTimestamp + frame * ticksPerFrame[codec],
        ssrc: this.#caller.ssrc,
        payloadType: comfortNoise ? comfortNoisePayloadType : this.#caller.payloadType,
        marker: talkspurt,
        payload,
        ...(this.#cast.audioLevel ? { extensions: [{ id: audioLevelExtensionId, value: Uint8Array.of(-levelDbov) }] } : {}),
      });
      return { rtp, atMs: this.#atMs, comfortNoise };
    }
  }

  /** What is said, or not, at a frame of the run. */
  #say(runFrame: number): VoiceFrame {
    const listens = this.#listensAt(runFrame);
    if (this.#turn !== null && runFrame >= this.#turn.startFrame) {
      const { clip, startFrame } = this.#turn;
      if (runFrame === startFrame + clip.frames.length - 1) this.#turn = this.#turns.next(this.#caller.seat, runFrame + 1);
      if (!listens) {
        this.#silenceFrame = 0;
        return clip.frames[runFrame - startFrame] ?? null;
      }
    }
    if (listens && this.#cast.mute) return null;
    const { lead, loop } = this.#cast.voices.silence;
    const index = this.#silenceFrame++;
    return (index < lead.length ? lead[index] : loop[(index - lead.length) % loop.length]) ?? null;
  }

  #listensAt(runFrame: number): boolean {
    if (this.#stretchSeconds === null) return false;
    // Spread as the callers' starts are: what all begin at once is no load that anybody has.
    const spread = this.#caller.startFrame % startSpreadFrames;
    return listensAt((Math.max(0, runFrame - spread) * frameMs) / 1000, this.#stretchSeconds);
  }
}

function voiceOf({ voices }: Voices, index: number): readonly Clip[] {
  const voice = voices[index % voices.length];
  if (voice === undefined) throw new RangeError('Expected one voice or more, got none');
  return voice;
}

/** Whether the caller of that number listens: so many of each few callers do, whatever their calls. */
function listens(index: number, share: number): boolean {
  return Math.floor((index + 1) * share + 1e-9) > Math.floor(index * share + 1e-9);
}

/** A seed for one of many. */
function mix(seed: number, index: number): number {
  return (Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
}
