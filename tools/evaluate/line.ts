// One caller of an evaluation: clips and the pauses between them, sent over a line of some codec, noise and loss.
import { join } from 'node:path';
import { codecs, opusSilence, packetSamples, Sender, type Media, type Wire } from '../analyse/media.ts';
import { readRecording, recordingKind, samplesOf, type Recording } from '../audio/recording.ts';
import { createRandom, type Random } from '../callers/random.ts';
import type { CorpusClip } from '../corpus/corpus.ts';
import { createOpusEncoder, createPcmuEncoder, type PacketEncoder } from './encoders.ts';
import { burstLoss } from './network.ts';
import { addNoise, type NoiseSource } from './noise.ts';
import type { EvaluationOptions } from './options.ts';

/** A clip, and where on the caller's media clock it begins, samples at 16 kHz. */
export interface SentClip {
  readonly clip: CorpusClip;
  readonly startSample: number;
  /** Played to let the running statistics settle, not to be scored. */
  readonly warmUp: boolean;
}

/** What a {@link Line} needs to know. */
export interface LineOptions extends Pick<
  EvaluationOptions,
  'data' | 'codec' | 'fec' | 'dtx' | 'lossPercent' | 'burstPackets' | 'noiseDb' | 'seed'
> {
  /** Whether all clips play once, in an order of their own, before those that are to be scored. */
  readonly warmUp: boolean;
  /** Pause after each clip, drawn between these. */
  readonly pauseMs: { readonly least: number; readonly most: number };
}

/** Pauses between clips as in a call: always longer than the 400 ms after which an utterance has ended. */
export const callPauseMs = { least: 600, most: 1600 };
const samplesPerMs = 16;
/** An encoder's packet of no more bytes need not be sent: opus_encode's documentation. */
const mostUnsentBytes = 2;

/**
 * The media of one caller. Each clip is followed by a pause. Without a codec and noise, Opus clips go out as their own
 * packets, with silence frames between; otherwise clips are decoded first. Noise goes on through the pause. What comes
 * out depends on the options, the clips and the caller's name alone; the order and the pauses are the same whatever the
 * codec, the loss and the noise.
 */
export class Line {
  /** Clips whose sending has begun, in order. */
  readonly sent: SentClip[] = [];
  readonly wire: Wire;
  readonly #options: LineOptions;
  readonly #clips: readonly CorpusClip[];
  readonly #noise: NoiseSource;
  readonly #name: string;

  private constructor(options: LineOptions, wire: Wire, clips: readonly CorpusClip[], noise: NoiseSource, name: string) {
    this.wire = wire;
    this.#options = options;
    this.#clips = clips;
    this.#noise = noise;
    this.#name = name;
  }

  /** @throws Error as {@link readRecording} does, or where packets are to be lost and there are none. */
  static async open(options: LineOptions, clips: readonly CorpusClip[], noise: NoiseSource, name: string): Promise<Line> {
    const { codec, data, noiseDb, lossPercent } = options;
    let wire: Wire = codec.name === 'none' ? 'pcm' : codec.name;
    if (codec.name === 'none' && noiseDb === null) {
      const kinds = new Set<Wire>();
      for (const { path } of clips) kinds.add(await recordingKind(join(data, path)));
      if (!kinds.has('pcm')) wire = 'opus';
    }
    if (wire === 'pcm' && lossPercent > 0) {
      throw new Error('Expected a codec with --loss (pcmu or opus:KBPS), for only packets can be lost: these clips are sent as samples');
    }
    return new Line(options, wire, clips, noise, name);
  }

  /** The caller's media in order. */
  async *media(): AsyncGenerator<Media> {
    const { codec, data, fec, dtx, lossPercent, burstPackets, pauseMs } = this.#options;
    const noise = this.#randomOf('noise');
    const sender = new Sender(this.wire, lossPercent > 0 ? burstLoss(lossPercent, this.#randomOf('loss'), burstPackets) : undefined);
    const encoder = await openEncoder(codec, { fec, dtx });
    try {
      for (const { clip, random, warmUp } of this.#order()) {
        const recording = await readRecording(join(data, clip.path));
        const pauseSamples = Math.round((pauseMs.least + random() * (pauseMs.most - pauseMs.least)) * samplesPerMs);
        this.sent.push({ clip, startSample: sender.positionSamples, warmUp });
        if (this.wire === 'opus' && encoder === null && recording.kind === 'opus') yield* ownPackets(sender, recording, pauseSamples);
        else {
          const samples = await this.#heard(await samplesOf(recording), pauseSamples, noise);
          if (encoder === null) yield* sender.samples(samples);
          else {
            for (const packet of encoder.encode(samples)) {
              if (dtx && packet.length <= mostUnsentBytes) sender.pause(packetSamples);
              else yield* sender.packet(packet);
            }
          }
        }
      }
    } finally {
      encoder?.close();
    }
  }

  /** Warming up changes nothing in the order and the pauses of the clips that are to be scored. */
  *#order(): Generator<{ clip: CorpusClip; random: Random; warmUp: boolean }> {
    if (this.#options.warmUp) yield* this.#pass('warm-up', true);
    yield* this.#pass('order', false);
  }

  *#pass(purpose: string, warmUp: boolean): Generator<{ clip: CorpusClip; random: Random; warmUp: boolean }> {
    const random = this.#randomOf(purpose);
    for (const clip of shuffled(this.#clips, random)) yield { clip, random, warmUp };
  }

  /** A clip and the pause after it, in whole packets, with the noise that goes on through both. */
  async #heard(clip: Float32Array, pauseSamples: number, random: Random): Promise<Float32Array> {
    const { noiseDb } = this.#options;
    const quiet = new Float32Array(Math.ceil((clip.length + pauseSamples) / packetSamples) * packetSamples);
    quiet.set(clip);
    return noiseDb === null ? quiet : addNoise(quiet, await this.#noise(quiet.length, random), noiseDb);
  }

  #randomOf(purpose: string): Random {
    return createRandom(this.#options.seed ^ hash(`${purpose} ${this.#name}`));
  }
}

/** The track of a line. */
export function trackOf(name: string, wire: Wire) {
  return { callId: 'evaluation', participantId: name, trackId: name, codec: codecs[wire] };
}

/** Fisher and Yates' shuffle. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
  return order;
}

function* ownPackets(sender: Sender, recording: Extract<Recording, { kind: 'opus' }>, pauseSamples: number): Generator<Media> {
  for (const packet of recording.audio.packets) yield* sender.packet(packet);
  const end = sender.positionSamples + pauseSamples;
  while (sender.positionSamples < end) yield* sender.packet(opusSilence);
}

async function openEncoder(codec: LineOptions['codec'], how: Pick<LineOptions, 'fec' | 'dtx'>): Promise<PacketEncoder | null> {
  switch (codec.name) {
    case 'none':
      return null;
    case 'pcmu':
      return createPcmuEncoder();
    case 'opus':
      return createOpusEncoder(codec.kbps, how);
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
