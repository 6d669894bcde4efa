// Writes a timeline of recordings as JSON, CSV or WebVTT.
import type { Analysis } from './analyse.ts';

/** Formats by name. */
export const formats: Readonly<Record<string, (analysis: Analysis) => string>> = { json: toJson, csv: toCsv, vtt: toVtt };

function toJson(analysis: Analysis): string {
  return `${JSON.stringify(analysis, null, 1)}\n`;
}

/** A row for each event; cells that an event does not have are empty. */
function toCsv({ labels, events }: Analysis): string {
  const header = ['type', 'caller', 'start_ms', 'end_ms', 'state', 'label', 'confidence', ...labels];
  const rows = events.map((event) => {
    if (event.type === 'speech') return [event.type, event.participantId, '', event.atMs, event.state, '', '', ...labels.map(() => '')];
    const { type, participantId, startMs, atMs, label, confidence, probabilities } = event;
    return [type, participantId, startMs, atMs, '', label, confidence, ...labels.map((name) => probabilities[name] ?? 0)];
  });
  return [header, ...rows].map((cells) => `${cells.map(quoted).join(',')}\r\n`).join('');
}

/** A cue for each segment, in the caller's voice. */
function toVtt({ events }: Analysis): string {
  const segments = events.filter((event) => event.type === 'segment').toSorted((a, b) => a.startMs - b.startMs);
  const cues = segments.map(({ startMs, atMs, participantId, label, confidence }) => {
    const text = `<v ${escaped(participantId)}>${label} ${(100 * confidence).toFixed(0)} %`;
    return `\n${stamp(startMs)} --> ${stamp(atMs)}\n${text}\n`;
  });
  return `WEBVTT\n${cues.join('')}`;
}

/** RFC 4180. */
function quoted(cell: string | number): string {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replace(/\s+/g, ' ');
}

function stamp(ms: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}.${String(ms % 1000).padStart(3, '0')}`;
}
