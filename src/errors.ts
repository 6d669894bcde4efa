// The one error class of the server, and the table of every code that it may carry.

/** Every error code, with what it means. `docs/errors.md` is checked against this table. */
export const errorCodes = {
  UT_AUTH_TOKEN: 'The token is missing, malformed, expired or signed by someone else.',
  UT_AUTH_SCOPE: 'The token is valid but does not allow this action or this call.',
  UT_AUTH_SECRET: 'No secret is configured where one is required.',
  UT_POLICY_DENIED: 'The policy does not let this participant be measured.',
  UT_CALL_UNKNOWN: 'No call of that id is known to this server or its store.',
  UT_CONFIG_INVALID: 'The configuration has an unknown key or a value outside its range.',
  UT_MODEL_MISSING: 'A file of the model cannot be read.',
  UT_MODEL_INVALID: 'The manifest, or the model that it names, is not what this server can run.',
  UT_ENGINE_UNAVAILABLE: 'No inference engine could be loaded.',
  UT_ENGINE_FAILED: 'The inference engine failed on a batch or its thread ended.',
  UT_MESSAGE_INVALID: 'A message is not JSON, or not of the shape that its schema asks for.',
  UT_MESSAGE_TOO_LARGE: 'A message is larger than the limit.',
  UT_REQUEST_INVALID: 'The request is well formed but cannot be done in the present state.',
  UT_MEDIA_FAILED: 'mediasoup refused a media operation.',
  UT_SERVER_PORT: 'The server cannot listen on the configured address and port.',
  UT_SERVER_OVERLOADED: 'A limit on connections, calls or participants is reached.',
  UT_SERVER_FAILED: 'An unexpected fault of the server; its log has the cause.',
  UT_STORE_FAILED: 'The timeline store cannot be reached or refused an operation.',
  UT_CODEC_UNSUPPORTED: 'The codec of an audio track is not one that can be decoded.',
} as const;

/** One of the codes in {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** Further facts of an {@link UndertoneError}. */
export interface UndertoneErrorOptions {
  /** Whether the same call may succeed later. @default false */
  readonly retryable?: boolean;
  /** What caused it. */
  readonly cause?: unknown;
}

const brand = Symbol.for('undertone.error');

/** The error of every documented failure: a stable `code`, and a message that says what was expected and what came. */
export class UndertoneError extends Error {
  override readonly name = 'UndertoneError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly [brand] = true;

  constructor(code: ErrorCode, message: string, options: UndertoneErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Whether a value is an {@link UndertoneError}, also one from another copy of this package. */
export function isUndertoneError(value: unknown): value is UndertoneError {
  return typeof value === 'object' && value !== null && brand in value;
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
