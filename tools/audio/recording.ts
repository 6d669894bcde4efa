// Reads a recording of any kind that the tools take: WAV, FLAC or Ogg Opus, told by its first bytes.
import { open, readFile } from 'node:fs/promises';
import { FLACDecoder } from '@wasm-audio-decoders/flac';
import { messageOf } from '../../src/errors.ts';
import { sampleRateHz } from '../../src/pipeline/types.ts';
import { decodeOggOpus } from './decode-ogg.ts';
import { readOggOpus, type OggOpus } from './ogg-opus.ts';
import { mixDown, resample } from './resample.ts';
import { readWav } from './wav.ts';

/** A recording as it can be sent: Opus packets as they are, all else as samples. */
export type Recording =
  | { readonly kind: 'opus'; readonly audio: OggOpus; readonly bytes: Uint8Array }
  /** 16 kHz mono, [-1, 1]. */
  | { readonly kind: 'pcm'; readonly samples: Float32Array };

/**
 * Reads a recording of any sample rate and number of channels.
 * @throws Error that names the file and what is wrong: missing, of another format, damaged, or without audio.
 */
export async function readRecording(path: string): Promise<Recording> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new Error(`Expected a recording at ${path}, but it cannot be read: ${messageOf(cause)}`, { cause });
  });
  try {
    return await parse(bytes);
  } catch (cause) {
    throw new Error(`${path}: ${messageOf(cause)}`, { cause });
  }
}

/** How a recording would be sent, by its first bytes alone. @throws Error if it cannot be read. */
export async function recordingKind(path: string): Promise<Recording['kind']> {
  const file = await open(path).catch((cause: unknown) => {
    throw new Error(`Expected a recording at ${path}, but it cannot be read: ${messageOf(cause)}`, { cause });
  });
  try {
    const { buffer } = await file.read(new Uint8Array(4), 0, 4, 0);
    return magicOf(buffer) === 'OggS' ? 'opus' : 'pcm';
  } finally {
    await file.close();
  }
}

/** All samples of a recording, 16 kHz mono. */
export function samplesOf(recording: Recording): Promise<Float32Array> {
  return recording.kind === 'pcm' ? Promise.resolve(recording.samples) : decodeOggOpus(recording.bytes);
}

async function parse(bytes: Uint8Array): Promise<Recording> {
  const magic = magicOf(bytes);
  if (magic === 'OggS') {
    const audio = readOggOpus(bytes);
    if (audio.packets.length === 0 || audio.granuleEnd48k <= audio.preSkipSamples48k) throw empty();
    return { kind: 'opus', audio, bytes };
  }
  if (magic !== 'RIFF' && magic !== 'fLaC') throw new Error('Expected a WAV, FLAC or Ogg Opus file, got another format');
  const decoded = magic === 'RIFF' ? readWav(bytes) : await readFlac(bytes);
  const samples = resample(mixDown(decoded.channels), decoded.sampleRateHz, sampleRateHz);
  if (samples.length === 0) throw empty();
  if (!samples.every(Number.isFinite)) throw new Error('Expected finite samples, got others');
  return { kind: 'pcm', samples };
}

async function readFlac(bytes: Uint8Array): Promise<{ readonly sampleRateHz: number; readonly channels: readonly Float32Array[] }> {
  const decoder = new FLACDecoder();
  await decoder.ready;
  try {
    const { channelData, sampleRate, errors } = await decoder.decodeFile(bytes);
    const [fault] = errors;
    if (fault !== undefined) throw new Error(`Expected a sound FLAC file, got: ${fault.message}`);
    if (channelData.length === 0) throw new Error('Expected a sound FLAC file, got one without audio');
    return { sampleRateHz: sampleRate, channels: channelData };
  } finally {
    decoder.free();
  }
}

function magicOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 4));
}

function empty(): Error {
  return new Error('Expected a recording with audio, got an empty one');
}
