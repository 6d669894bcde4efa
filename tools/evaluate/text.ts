// Numbers and tables as text.
import type { Interval } from './bootstrap.ts';

/** Three digits without the leading 0; `-` for null. */
export function ratio(value: number | null): string {
  return value === null ? '-' : value.toFixed(3).replace(/^(-?)0\./, '$1.');
}

/** `.593 to .707` */
export function range([low, high]: Interval): string {
  return `${ratio(low)} to ${ratio(high)}`;
}

/** Percentage points with a digit behind the point. */
export function points(value: number | null): string {
  return value === null ? '-' : (100 * value).toFixed(1);
}

/** Columns as wide as they need be, the first to the left and the others to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [header, ...rows];
  const widths = header.map((_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)));
  return lines.map((cells) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
