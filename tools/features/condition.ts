// Draws what makes a new caller of a speaker's clips: another voice, microphone, room, noise, codec and network.
import type { Random } from '../callers/random.ts';
import { pick } from './draw.ts';
import type { NoiseKind } from './noise.ts';

/** Conditions of one caller, the same for all of the caller's clips. */
export interface CallerCondition {
  readonly semitones: number;
  readonly speed: number;
  readonly gainDb: number;
  readonly equalizer: Equalizer;
  readonly room: { readonly name: string; readonly wetShare: number } | null;
  readonly noise: { readonly kind: NoiseKind; readonly ratioDb: number } | null;
  readonly codec: CallCodec | null;
  readonly loss: { readonly percent: number; readonly meanBurstPackets: number } | null;
}

/** The codec of a call. */
export type CallCodec = { readonly name: 'pcmu' } | { readonly name: 'opus'; readonly kbps: number };

/** A microphone's response. */
export interface Equalizer {
  /** Gains at {@link equalizerHz}, dB. */
  readonly gainsDb: readonly number[];
  /** 12 dB an octave below. */
  readonly lowCutHz: number;
  /** 24 dB an octave above. */
  readonly highCutHz: number;
}

/** What there is to draw from. */
export interface ConditionChoice {
  readonly rooms: readonly string[];
  /** Drawn from in two steps, so that each group is as likely as another. */
  readonly noises: readonly (readonly NoiseKind[])[];
}

/** Where an equalizer's gains lie. */
const equalizerHz = [100, 250, 600, 1400, 3200, 7000] as const;

const opusKbps = [12, 16, 24, 32] as const;
const share = { room: 0.4, noise: 0.8, pcmu: 0.25, opus: 0.55, loss: 0.4, fullyWet: 0.5, highCut: 0.4, lowCut: 0.6 };

/** Draws the conditions of a caller. */
export function drawCondition(random: Random, { rooms, noises }: ConditionChoice): CallerCondition {
  const between = (least: number, most: number): number => least + random() * (most - least);
  const semitones = between(-2, 2);
  const speed = between(0.9, 1.1);
  const gainDb = between(-12, 6);
  const equalizer = {
    gainsDb: equalizerHz.map(() => between(-5, 5)),
    lowCutHz: random() < share.lowCut ? 60 * 5 ** random() : 20,
    highCutHz: random() < share.highCut ? between(3400, 7000) : 20_000,
  };
  const room = pick(random, rooms);
  const wetShare = random() < share.fullyWet ? 1 : between(0.3, 1);
  const inRoom = random() < share.room;
  const kind = pick(random, pick(random, noises) ?? []);
  const ratioDb = between(0, 20);
  const noisy = random() < share.noise;
  const codec = drawCodec(random);
  // Only packets can be lost: of the callers with a codec, so many more are.
  const lossy = random() < share.loss / (share.pcmu + share.opus);
  const percent = between(2, 20);
  const meanBurstPackets = between(1, 4);
  return {
    semitones,
    speed,
    gainDb,
    equalizer,
    room: inRoom && room !== undefined ? { name: room, wetShare } : null,
    noise: noisy && kind !== undefined ? { kind, ratioDb } : null,
    codec,
    loss: lossy && codec !== null ? { percent, meanBurstPackets } : null,
  };
}

/** The conditions in short, without commas. */
export function conditionText(condition: CallerCondition): string {
  const { semitones, speed, gainDb, equalizer, room, noise, codec, loss } = condition;
  return [
    `pitch${signed(semitones, 1)}`,
    `speed${speed.toFixed(2)}`,
    `gain${signed(gainDb, 0)}`,
    `band${equalizer.lowCutHz.toFixed(0)}-${Math.min(8000, equalizer.highCutHz).toFixed(0)}`,
    room === null ? '' : `room:${room.name}*${room.wetShare.toFixed(1)}`,
    noise === null ? '' : `noise:${noise.kind.name}@${noise.ratioDb.toFixed(0)}dB`,
    codec === null ? '' : codec.name === 'pcmu' ? 'pcmu' : `opus${codec.kbps.toFixed(0)}`,
    loss === null ? '' : `loss${loss.percent.toFixed(0)}`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** Gain of an equalizer at a frequency, as a factor; 0 dB on average from 250 Hz to 3.2 kHz. */
export function equalizerGain({ gainsDb, lowCutHz, highCutHz }: Equalizer, hz: number): number {
  const octave = Math.log2(Math.max(20, hz));
  const octaves = equalizerHz.map((each) => Math.log2(each));
  const next = octaves.findIndex((each) => each > octave);
  const after = next < 0 ? octaves.length - 1 : Math.max(1, next);
  const from = octaves[after - 1] ?? 0;
  const along = Math.max(0, Math.min(1, (octave - from) / ((octaves[after] ?? 1) - from)));
  const smooth = 0.5 - 0.5 * Math.cos(Math.PI * along);
  const middleDb = gainsDb.slice(1, 5).reduce((sum, gainDb) => sum + gainDb, 0) / 4;
  const curveDb = (gainsDb[after - 1] ?? 0) * (1 - smooth) + (gainsDb[after] ?? 0) * smooth - middleDb;
  const lowCut = 1 / Math.sqrt(1 + (lowCutHz / Math.max(1, hz)) ** 4);
  const highCut = 1 / Math.sqrt(1 + (hz / highCutHz) ** 8);
  return 10 ** (curveDb / 20) * lowCut * highCut;
}

function drawCodec(random: Random): CallCodec | null {
  const drawn = random();
  const kbps = pick(random, opusKbps) ?? 16;
  if (drawn < share.pcmu) return { name: 'pcmu' };
  return drawn < share.pcmu + share.opus ? { name: 'opus', kbps } : null;
}

function signed(value: number, digits: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(digits)}`;
}
