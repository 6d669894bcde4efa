// From recordings to the events of a timeline: each recording is a caller, all on the clock of their own beginning.
import { basename } from 'node:path';
import { sampleRateHz, type SpeechChange } from '../../src/pipeline/types.ts';
import { loadManifest } from '../../src/models/manifest.ts';
import type { EmotionOutput } from '../../src/models/types.ts';
import type { EventDraft } from '../../src/gateway/types.ts';
import { readRecording, type Recording } from '../audio/recording.ts';
import { codecs, Sender, type Media } from './media.ts';
import { play, shippedModelDir, type OfflineCaller } from './play.ts';

/** What a call's timeline would hold of the recordings: its own events, without what only a live call has. */
export type AnalysisEvent =
  | Extract<EventDraft, { type: 'speech' }>
  | Omit<Extract<EventDraft, { type: 'segment' }>, 'concealedRatio' | 'unreliable' | 'hopMs'>
  | Omit<Extract<EventDraft, { type: 'point' }>, 'arrivedAtUnixMs' | 'unreliable'>;

/** The timeline of some recordings. */
export interface Analysis {
  readonly model: string;
  readonly labels: readonly string[];
  readonly callers: readonly { readonly participantId: string; readonly file: string; readonly durationMs: number }[];
  /** In order of `atMs`. */
  readonly events: readonly AnalysisEvent[];
}

interface Loaded {
  readonly participantId: string;
  readonly file: string;
  readonly recording: Recording;
}

const samplesPerMs = sampleRateHz / 1000;

/**
 * Plays recordings through the live pipeline: Ogg Opus as its own packets, all else as samples. A caller is named after
 * the file, with a number where names repeat. Rejects as {@link readRecording} does, before anything is played.
 */
export async function analyse(files: readonly string[], modelDir = shippedModelDir): Promise<Analysis> {
  const { manifest } = await loadManifest(modelDir);
  const loaded: Loaded[] = [];
  for (const file of files) loaded.push({ file, participantId: nameOf(file, loaded), recording: await readRecording(file) });
  const events: AnalysisEvent[] = [];
  await play({
    modelDir,
    callers: loaded.map(callerOf),
    onSpeech: ({ track, state, atSample }: SpeechChange) => {
      events.push({ type: 'speech', atMs: msOf(atSample), participantId: track.participantId, state });
    },
    onOutput: (output) => events.push(eventOf(output, manifest.labels)),
  });
  const callers = loaded.map(({ participantId, file, recording }) => ({ participantId, file, durationMs: durationMs(recording) }));
  return { model: `${manifest.name} ${manifest.version}`, labels: manifest.labels, callers, events: inOrder(events) };
}

function callerOf({ participantId, recording }: Loaded): OfflineCaller {
  const wire = recording.kind;
  const track = { callId: 'analysis', participantId, trackId: participantId, codec: codecs[wire] };
  return { track, media: () => mediaOf(recording) };
}

// eslint-disable-next-line @typescript-eslint/require-await -- media is asynchronous where it must be loaded first
async function* mediaOf(recording: Recording): AsyncGenerator<Media> {
  const sender = new Sender(recording.kind);
  if (recording.kind === 'pcm') yield* sender.samples(recording.samples);
  else for (const packet of recording.audio.packets) yield* sender.packet(packet);
}

function eventOf(output: EmotionOutput, labels: readonly string[]): AnalysisEvent {
  if (output.kind === 'gap') throw new Error('Expected every window to be scored, got a gap');
  const said = output.kind === 'point' ? output.point : output.segment;
  const { label, confidence, startSample, endSample, track } = said;
  const probabilities = Object.fromEntries(labels.map((name, i) => [name, round(said.probabilities[i] ?? 0)]));
  const { participantId } = track;
  const base = { atMs: msOf(endSample), startMs: msOf(startSample), participantId, label, confidence: round(confidence), probabilities };
  if (output.kind === 'segment') return { type: 'segment', ...base, points: output.segment.points };
  const { speechRatio, concealedRatio, hopSamples } = output.point;
  return { type: 'point', ...base, speechRatio: round(speechRatio), concealedRatio: round(concealedRatio), hopMs: msOf(hopSamples) };
}

/** By time; what is said at one time stays in the order in which it was said. */
function inOrder(events: readonly AnalysisEvent[]): AnalysisEvent[] {
  return events.toSorted((a, b) => a.atMs - b.atMs);
}

function nameOf(file: string, others: readonly Loaded[]): string {
  const name = basename(file).replace(/\.[^.]+$/, '');
  const taken = new Set(others.map(({ participantId }) => participantId));
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`;
    if (!taken.has(candidate)) return candidate;
  }
}

function durationMs(recording: Recording): number {
  if (recording.kind === 'pcm') return msOf(recording.samples.length);
  return Math.round((recording.audio.granuleEnd48k - recording.audio.preSkipSamples48k) / 48);
}

function msOf(samples: number): number {
  return Math.round(samples / samplesPerMs);
}

/** Six digits, as on the wire. */
function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
