// The one error class of the client and the codes that are its own.

/** Codes that the client itself raises; others (`UT_AUTH_SCOPE`, `UT_CALL_UNKNOWN`, …) are passed on from the server. */
export type ClientErrorCode =
  /** An option is missing or of the wrong kind. */
  | 'UT_CLIENT_OPTION'
  /** The token function threw or gave no token. The link is tried again. */
  | 'UT_CLIENT_TOKEN'
  /** The server speaks another protocol, or sent what cannot be read. */
  | 'UT_CLIENT_PROTOCOL'
  /** The retry policy gave up. */
  | 'UT_CLIENT_GAVE_UP'
  /** An async iterator was read too slowly and its buffer is full. */
  | 'UT_CLIENT_READER_SLOW'
  /** The client is closed already. */
  | 'UT_CLIENT_CLOSED'
  /** The server refused the token. */
  | 'UT_AUTH_TOKEN';

/** The error of every documented failure: a stable `code`, and a message that says what was expected and what came. */
export class UndertoneClientError extends Error {
  override readonly name = 'UndertoneClientError' as const;
  /** One of {@link ClientErrorCode}, or a code that the server sent. */
  readonly code: ClientErrorCode | (string & {});
  /** The call that it concerns, if one. */
  readonly callId: string | undefined;
  /** What caused it, if something did. */
  override readonly cause: unknown;

  constructor(code: ClientErrorCode | (string & {}), message: string, options: { callId?: string; cause?: unknown } = {}) {
    super(message);
    this.code = code;
    this.callId = options.callId;
    this.cause = options.cause;
  }
}
