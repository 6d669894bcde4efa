// An event as JSON: made once for all who want it one after another.
import type { TimelineEvent } from './types.ts';

/** Kept for longer, the text of each event would take as much again as the event. */
let newest: { readonly event: TimelineEvent; readonly text: string } | null = null;

/** The JSON of an event. The one of the event asked for last is kept. */
export function eventText(event: TimelineEvent): string {
  if (newest?.event !== event) newest = { event, text: JSON.stringify(event) };
  return newest.text;
}
