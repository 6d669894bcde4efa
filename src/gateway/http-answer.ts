// Answers over node:http: JSON, security headers, and the status that belongs to each error code.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { UndertoneError, type ErrorCode } from '../errors.ts';

const statusOf: Partial<Record<ErrorCode, number>> = {
  UT_AUTH_TOKEN: 401,
  UT_AUTH_SCOPE: 403,
  UT_POLICY_DENIED: 403,
  UT_CALL_UNKNOWN: 404,
  UT_MESSAGE_INVALID: 400,
  UT_REQUEST_INVALID: 400,
  UT_MESSAGE_TOO_LARGE: 413,
  UT_SERVER_OVERLOADED: 503,
  UT_STORE_FAILED: 503,
};

const securityHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** Headers by name. */
export type Headers = Readonly<Record<string, string>>;

/** Sends text with the security headers; without a body to a HEAD. */
export function sendText(response: ServerResponse, status: number, contentType: string, body: string, headers: Headers = {}): void {
  if (response.headersSent || response.destroyed) return;
  const length = { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) };
  response.writeHead(status, { ...securityHeaders, ...length, ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

export function sendJson(response: ServerResponse, status: number, value: unknown, headers?: Headers): void {
  sendText(response, status, 'application/json; charset=utf-8', JSON.stringify(value), headers);
}

/** Sends an error as `{"error":{code,message}}`. @param status defaults to what belongs to the code */
export function sendError(
  response: ServerResponse,
  error: UndertoneError,
  status = statusOf[error.code] ?? 500,
  headers: Headers = {},
): void {
  const challenge = status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
  sendJson(response, status, { error: { code: error.code, message: error.message } }, { ...challenge, ...headers });
}

/** Reads a JSON body. Throws UT_MESSAGE_TOO_LARGE or UT_MESSAGE_INVALID. */
export async function readJsonBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new UndertoneError('UT_MESSAGE_TOO_LARGE', `Expected a body of at most ${maxBytes} bytes, got more`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
  } catch {
    throw new UndertoneError('UT_MESSAGE_INVALID', 'Expected a JSON body, got what is not JSON');
  }
}
