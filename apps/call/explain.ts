// What went wrong with a call, in plain words, and whether trying again can mend it.
import { AccessError } from '../shared/access.ts';
import { SignalError } from './signaling.ts';

/** Refusals that trying again cannot mend. */
const finalCodes = new Set(['UT_AUTH_TOKEN', 'UT_AUTH_SCOPE', 'UT_MESSAGE_INVALID', 'UT_REQUEST_INVALID']);

const explanations: Readonly<Record<string, string>> = {
  UT_AUTH_TOKEN: 'The access token is not valid, or it has expired. Ask for a new link.',
  UT_AUTH_SCOPE: 'This link does not allow joining this call.',
  UT_SERVER_OVERLOADED: 'The server is full at the moment.',
  UT_MEDIA_FAILED: 'The server could not set up the media connection.',
};

/** An error as a sentence for the person who looks at the page. */
export function readable(error: unknown): string {
  if (error instanceof SignalError) return Object.entries(explanations).find(([code]) => code === error.code)?.[1] ?? error.message;
  if (isUnsupported(error)) return 'This browser cannot take part in calls.';
  return error instanceof Error ? error.message : 'Something went wrong.';
}

/** Whether trying again is in vain. */
export function isFinal(error: unknown): boolean {
  if (error instanceof AccessError || isUnsupported(error)) return true;
  return error instanceof SignalError && finalCodes.has(error.code);
}

/** Whether mediasoup-client knows no way to work with this browser. */
function isUnsupported(error: unknown): boolean {
  return error instanceof Error && error.name === 'UnsupportedError';
}
