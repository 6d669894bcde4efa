// Seats callers in calls.

/** Calls that a server takes, with some to spare for others. */
const maxCalls = 180;
/** Participants that one call takes, with some to spare for those who come before others go. */
const maxSeats = 30;

/**
 * The number of callers of each call: `callSize` as far as it goes, more where a server would not take so many calls.
 * @throws Error where there are too many callers even so.
 */
export function seatCallers(callers: number, callSize: number): number[] {
  const size = Math.max(callSize, Math.ceil(callers / maxCalls));
  if (size > maxSeats) {
    throw new Error(`Expected at most ${maxCalls * maxSeats} callers on one server, got \`${callers}\``);
  }
  const calls = Math.ceil(callers / size);
  return Array.from({ length: calls }, (_, call) => Math.floor(callers / calls) + (call < callers % calls ? 1 : 0));
}
