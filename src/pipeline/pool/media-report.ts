// A caller's media counts and levels as a row of numbers.
import { createMediaCounts, createMediaLevels } from '../media-counts.ts';
import type { MediaCounts, MediaLevels } from '../types.ts';

const countNames = Object.keys(createMediaCounts()) as (keyof MediaCounts)[];
const levelNames = Object.keys(createMediaLevels()) as (keyof MediaLevels)[];

/** Numbers of a row: the caller's ref, the counts, the levels. */
const rowLength = 1 + countNames.length + levelNames.length;

/** What a row says. */
export interface MediaReport {
  readonly ref: number;
  readonly counts: MediaCounts;
  readonly levels: MediaLevels;
}

/** Rows, one after another. */
export function packReports(reports: readonly MediaReport[]): Float64Array<ArrayBuffer> {
  const rows = new Float64Array(reports.length * rowLength);
  let at = 0;
  for (const { ref, counts, levels } of reports) {
    rows[at++] = ref;
    for (const name of countNames) rows[at++] = counts[name];
    for (const name of levelNames) rows[at++] = levels[name];
  }
  return rows;
}

/** Tells of each row whose it is and where it begins, for {@link readReport}. */
export function readReports(rows: Float64Array, take: (ref: number, at: number) => void): void {
  for (let at = 0; at < rows.length; at += rowLength) take(rows[at] ?? 0, at);
}

/** Reads the row that begins at `at` into a caller's counts and levels: new ones four times a second would all be garbage. */
export function readReport(rows: Float64Array, at: number, counts: MediaCounts, levels: MediaLevels): void {
  let from = at + 1;
  for (const name of countNames) counts[name] = rows[from++] ?? 0;
  for (const name of levelNames) levels[name] = rows[from++] ?? 0;
}

/** Adds counts to others, name by name. */
export function addCounts(to: MediaCounts, counts: MediaCounts): void {
  for (const name of countNames) to[name] += counts[name];
}

/** Makes counts the sum of two others. */
export function sumCounts(to: MediaCounts, one: Readonly<MediaCounts>, other: Readonly<MediaCounts>): void {
  for (const name of countNames) to[name] = one[name] + other[name];
}

/** Packets that met a fate. */
export function fatedPackets({ played, late, duplicate, malformed, ignored, overflow }: MediaCounts): number {
  return played + late + duplicate + malformed + ignored + overflow;
}
