// Turns what mediasoup throws into the errors that this project documents.
import { isUndertoneError, messageOf, UndertoneError } from '../errors.ts';

/** Wraps a failure of a media operation as UT_MEDIA_FAILED; an UndertoneError passes unchanged. */
export function mediaFailed(operation: string, error: unknown, retryable = false): UndertoneError {
  if (isUndertoneError(error)) return error;
  return new UndertoneError('UT_MEDIA_FAILED', `Expected ${operation}, got \`${messageOf(error)}\``, { cause: error, retryable });
}
