// A caller's media counts and levels as a row of numbers.
import { createMediaCounts, createMediaLevels } from '../media-counts.ts';
import type { MediaCounts, MediaLevels } from '../types.ts';

const countNames = Object.keys(createMediaCounts()) as (keyof MediaCounts)[];
const levelNames = Object.keys(createMediaLevels()) as (keyof MediaLevels)[];

/** Numbers of a row: the caller's ref, the counts, the levels. */
const rowLength = 1 + countNames.length + levelNames.length;

/** One row, read. */
export interface MediaReport {
  readonly ref: number;
  readonly counts: MediaCounts;
  readonly levels: MediaLevels;
}

/** Rows, one after another. */
export function packReports(reports: readonly MediaReport[]): Float64Array<ArrayBuffer> {
  const rows = new Float64Array(reports.length * rowLength);
  for (const [index, { ref, counts, levels }] of reports.entries()) {
    const row = [ref, ...countNames.map((name) => counts[name]), ...levelNames.map((name) => levels[name])];
    rows.set(row, index * rowLength);
  }
  return rows;
}

/** Reads rows. */
export function readReports(rows: Float64Array): MediaReport[] {
  return Array.from({ length: rows.length / rowLength }, (_, index) => {
    const row = rows.subarray(index * rowLength, (index + 1) * rowLength);
    const [counts, levels] = [createMediaCounts(), createMediaLevels()];
    for (const [at, name] of countNames.entries()) counts[name] = row[1 + at] ?? 0;
    for (const [at, name] of levelNames.entries()) levels[name] = row[1 + countNames.length + at] ?? 0;
    return { ref: row[0] ?? 0, counts, levels };
  });
}

/** Adds counts to others, name by name. */
export function addCounts(to: MediaCounts, counts: MediaCounts): void {
  for (const name of countNames) to[name] += counts[name];
}

/** Packets that met a fate. */
export function fatedPackets({ played, late, duplicate, malformed, ignored, overflow }: MediaCounts): number {
  return played + late + duplicate + malformed + ignored + overflow;
}
