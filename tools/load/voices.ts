// What the callers of a load test say: recordings as packets of 20 ms, encoded before anything is sent.
import { readdir } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { parseOpusPacket } from '../../src/pipeline/opus-packet.ts';
import { opusSilence, packetSamples } from '../analyse/media.ts';
import { meanPower } from '../audio/level.ts';
import { readRecording, samplesOf } from '../audio/recording.ts';
import { demoDirectory, readDemoManifest } from '../callers/demo.ts';
import { createRandom, type Random } from '../callers/random.ts';
import { createOpusEncoder, createPcmuEncoder, type PacketEncoder } from '../evaluate/encoders.ts';
import type { LoadOptions } from './options.ts';
import { spokenPackets } from './spoken.ts';

/** What goes out in 20 ms, and how loud it is, 0 to -127 dBov; null where the sender has nothing to send. */
export type VoiceFrame = { readonly payload: Uint8Array; readonly levelDbov: number } | null;

/** Something that is said without a pause between turns. */
export interface Clip {
  readonly name: string;
  readonly frames: readonly VoiceFrame[];
}

/** All that the callers of a run can say; plain data, so that threads can be given it. */
export interface Voices {
  readonly codec: LoadOptions['codec'];
  /** Clips by voice; a caller has one voice. */
  readonly voices: readonly (readonly Clip[])[];
  /** Frames of a silence from its beginning, and those that then come again and again. */
  readonly silence: { readonly lead: readonly VoiceFrame[]; readonly loop: readonly VoiceFrame[] };
  /** How it was made, for the report. */
  readonly description: string;
}

type VoiceOptions = Pick<LoadOptions, 'audioDir' | 'codec' | 'bitrateKbps' | 'dtx' | 'roomDbov' | 'seed'>;

interface Source {
  readonly path: string;
  readonly name: string;
  readonly voice: string;
}

/** Bit rate of clips that are not sent as they are, where none is asked for. */
const defaultBitrateKbps = 24;
/** What browsers use on desktops. */
const opusComplexity = 9;
/** Longer recordings are cut, for nobody speaks so long without a pause. */
const maxClipSamples = 10 * 16_000;
/** Speech that is loaded at most, s: more of it loads a server no more. */
const maxSpeechSeconds = 600;
const framesPerSecond = 50;
/** Long enough for an encoder's silence to come round twice. */
const silenceSeconds = 3;
const recordingTypes = ['.wav', '.flac', '.ogg', '.opus'];
/** An Opus packet that holds nothing but a header: the encoder is in DTX. */
const maxHeaderBytes = 2;
/** RFC 3389: one byte, the level of the noise in -dBov. */
const comfortNoise = Uint8Array.of(70);
/** How often a G.711 sender repeats its comfort noise, frames: as often as Opus does. */
const comfortNoiseFrames = 20;
/** RFC 6464: the least level there is. */
const quietestDbov = -127;
const pcmuSilence = new Uint8Array(packetSamples / 2).fill(0xff);

/** Whether a payload of G.711 is comfort noise, which has a payload type of its own: audio has 160 bytes. */
export function isComfortNoise(codec: LoadOptions['codec'], payload: Uint8Array): boolean {
  return codec === 'pcmu' && payload.length === comfortNoise.length;
}

/**
 * Loads and encodes what callers say.
 * @throws Error that names the folder without recordings or the recording that cannot be read.
 */
export async function loadVoices(options: VoiceOptions): Promise<Voices> {
  const { codec, bitrateKbps, dtx, roomDbov } = options;
  const sources = options.audioDir === null ? demoSources() : await folderSources(options.audioDir, options.seed);
  const kbps = bitrateKbps ?? defaultBitrateKbps;
  const mayPass = codec === 'opus' && bitrateKbps === null && !dtx;
  const open = (): Promise<PacketEncoder> =>
    codec === 'opus' ? createOpusEncoder(kbps, { complexity: opusComplexity, dtx }) : Promise.resolve(createPcmuEncoder());
  const voices = new Map<string, Clip[]>();
  let seconds = 0;
  let passed = 0;
  let encoded = 0;
  for (const { path, name, voice } of sources) {
    if (seconds >= maxSpeechSeconds) break;
    const clips = (mayPass ? await opusAsItIs(path, name) : null) ?? (await encode(path, name, open));
    // A recording in which nobody is heard has nothing to say.
    if (clips.clips.length === 0) continue;
    if (mayPass && clips.asItIs) passed += 1;
    else encoded += 1;
    voices.set(voice, [...(voices.get(voice) ?? []), ...clips.clips]);
    seconds += clips.clips.reduce((sum, { frames }) => sum + frames.length, 0) / framesPerSecond;
  }
  if (voices.size === 0) throw new Error(`Expected recordings in which somebody speaks, got ${sources.length} in which nobody does`);
  const what = codec === 'pcmu' ? 'PCMU' : encoded > 0 ? `Opus at ${kbps} kbit/s` : 'Opus as it is';
  const room = roomDbov === null ? '' : `, between turns a room of ${roomDbov} dBov`;
  const mixed = passed > 0 && encoded > 0 ? `, ${passed} of them Opus as it is` : '';
  return {
    codec,
    voices: [...voices.values()],
    silence: await silenceOf(options, encoded === 0, open),
    description: `${passed + encoded} recordings, ${Math.round(seconds)} s, ${what}${mixed}${room}${dtx ? ', silence not sent' : ''}`,
  };
}

function demoSources(): Source[] {
  return readDemoManifest().clips.map(({ file, actor }) => ({ path: join(demoDirectory, file), name: file, voice: actor }));
}

/** The recordings of a folder in an order of the seed; those of one folder below it are of one voice. */
async function folderSources(folder: string, seed: number): Promise<Source[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && recordingTypes.includes(extname(entry.name).toLowerCase()))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (paths.length === 0) throw new Error(`Expected --audio to hold ${recordingTypes.join(', ')} files, got none in \`${folder}\``);
  const random = createRandom(seed);
  const order = new Map(paths.map((path) => [path, random()]));
  paths.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
  return paths.map((path) => ({ path, name: path.slice(folder.length).replace(/^\//, ''), voice: dirname(path) }));
}

interface Loaded {
  readonly clips: readonly Clip[];
  readonly asItIs: boolean;
}

/** The packets of an Ogg Opus file of 20 ms packets; null of any other file. */
async function opusAsItIs(path: string, name: string): Promise<Loaded | null> {
  const recording = await readRecording(path);
  if (recording.kind !== 'opus') return null;
  const { packets } = recording.audio;
  if (packets.some((packet) => parseOpusPacket(packet)?.sampleCount !== packetSamples)) return null;
  const samples = await samplesOf(recording);
  const { from, to } = await spokenPackets(samples);
  const frames = packets.slice(from, to).map((payload, i) => ({ payload, levelDbov: levelOf(samples, from + i) }));
  return { clips: cut(name, frames, maxClipSamples / packetSamples), asItIs: true };
}

async function encode(path: string, name: string, open: () => Promise<PacketEncoder>): Promise<Loaded> {
  const whole = (await samplesOf(await readRecording(path))).subarray(0, maxSpeechSeconds * 16_000);
  const { from, to } = await spokenPackets(whole);
  const samples = whole.subarray(from * packetSamples, to * packetSamples);
  const clips: Clip[] = [];
  for (let at = 0; at < samples.length; at += maxClipSamples) {
    const piece = samples.subarray(at, at + maxClipSamples);
    const padded = new Float32Array(Math.ceil(piece.length / packetSamples) * packetSamples);
    padded.set(piece);
    clips.push({ name: at === 0 ? name : `${name} ${at / 16_000} s`, frames: await encodeFrames(padded, open) });
  }
  return { clips, asItIs: false };
}

async function encodeFrames(samples: Float32Array, open: () => Promise<PacketEncoder>): Promise<VoiceFrame[]> {
  const encoder = await open();
  try {
    return sentFrames(encoder.encode(samples), samples);
  } finally {
    encoder.close();
  }
}

/** Of packets without content the first alone is sent, as WebRTC's senders do. */
function sentFrames(packets: readonly Uint8Array[], samples: Float32Array): VoiceFrame[] {
  return packets.map((payload, i) => {
    const before = packets[i - 1];
    const unsent = payload.length <= maxHeaderBytes && before !== undefined && before.length <= maxHeaderBytes;
    return unsent ? null : { payload, levelDbov: levelOf(samples, i) };
  });
}

/** The level of the packet that a position in packets names, as RFC 6464 has it. */
function levelOf(samples: Float32Array, packet: number): number {
  const power = meanPower(samples.subarray(packet * packetSamples, (packet + 1) * packetSamples));
  return Math.max(quietestDbov, Math.min(0, Math.round(10 * Math.log10(power + 1e-13))));
}

async function silenceOf(
  { codec, dtx, roomDbov, seed }: VoiceOptions,
  asItIs: boolean,
  open: () => Promise<PacketEncoder>,
): Promise<Voices['silence']> {
  const silent = (payload: Uint8Array): VoiceFrame => ({ payload, levelDbov: quietestDbov });
  if (codec === 'pcmu' && dtx) return { lead: [], loop: [silent(comfortNoise), ...Array<null>(comfortNoiseFrames - 1).fill(null)] };
  if (codec === 'pcmu' && roomDbov === null) return { lead: [], loop: [silent(pcmuSilence)] };
  if (asItIs && roomDbov === null) return { lead: [], loop: [silent(opusSilence)] };
  const frames = await encodeFrames(roomNoise(roomDbov, createRandom(seed)), open);
  if (roomDbov !== null && !dtx) return { lead: [], loop: frames };
  if (!dtx) return { lead: frames.slice(0, -1), loop: frames.slice(-1) };
  // From the last update but one to the last.
  const updates = frames.flatMap((frame, i) => (frame !== null && i > 0 && frames[i - 1] === null ? [i] : []));
  const [from, to] = updates.slice(-2);
  if (from === undefined || to === undefined) throw new Error('Expected an encoder whose silence comes round, got one without DTX');
  return { lead: frames.slice(0, from), loop: frames.slice(from, to) };
}

/** Three seconds of a room: uniform noise, of which a width of 2 a has a power of a^2 / 3. */
function roomNoise(roomDbov: number | null, random: Random): Float32Array {
  const amplitude = roomDbov === null ? 0 : Math.sqrt(3) * 10 ** (roomDbov / 20);
  return Float32Array.from({ length: silenceSeconds * 16_000 }, () => amplitude * (2 * random() - 1));
}

function cut(name: string, frames: readonly VoiceFrame[], maxFrames: number): Clip[] {
  return Array.from({ length: Math.ceil(frames.length / maxFrames) }, (_, i) => ({
    name: i === 0 ? name : `${name} ${(i * maxFrames) / framesPerSecond} s`,
    frames: frames.slice(i * maxFrames, (i + 1) * maxFrames),
  }));
}
