// The signalling schemas: what they take, what they say of the rest, and that nothing makes them throw.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRequest, requestSchemas } from '../../../src/sfu/signaling-schema.ts';

const parse = (value: unknown) => parseRequest(JSON.stringify(value));

describe('parseRequest', () => {
  it('takes a join, and trims the name', () => {
    const data = { token: 't', callId: 'call-1', displayName: ' Zoë 🎧 ', consent: 'granted', role: 'customer' };
    expect(parse({ id: 1, method: 'join', data })).toEqual({
      ok: true,
      request: { id: 1, method: 'join', data: { ...data, displayName: 'Zoë 🎧' } },
    });
  });

  it('keeps what mediasoup needs of WebRTC parameters and leaves out what it does not know', () => {
    const rtpParameters = {
      mid: '0',
      codecs: [
        { mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2, parameters: { useinbandfec: 1 }, rtcpFeedback: [] },
      ],
      headerExtensions: [{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 4, encrypt: false, parameters: {} }],
      encodings: [{ ssrc: 1, dtx: false }],
      rtcp: { cname: 'c', reducedSize: true },
    };
    const sent = { ...rtpParameters, msid: 'x', encodings: [{ ssrc: 1, dtx: false, newInTheNextBrowser: 1 }] };
    expect(
      parse({ id: 1, method: 'produce', data: { transportId: 't', kind: 'audio', rtpParameters: sent, source: 'microphone' } }),
    ).toEqual({
      ok: true,
      request: { id: 1, method: 'produce', data: { transportId: 't', kind: 'audio', rtpParameters, source: 'microphone' } },
    });
  });

  it.each<[unknown, string]>([
    [{ id: 1, method: 'join', data: {} }, 'data.token: Invalid input: expected string, received undefined'],
    [{ id: 1, method: 'leave', data: { a: 1 } }, 'data: Unrecognized key: "a"'],
    [{ id: 1, method: 'jion', data: {} }, 'method: Invalid option: expected one of "join"'],
    [{ id: 1.5, method: 'leave', data: {} }, 'id: Invalid input: expected int, received number'],
    [{ id: 1, method: 'createTransport', data: { direction: 1 } }, 'data.direction: Invalid option: expected one of "send"|"recv"'],
  ])('says of %j what was expected and what came', (message, text) => {
    const parsed = parse(message);
    expect(parsed.ok).toBe(false);
    expect(parsed.ok ? '' : parsed.message).toContain(text);
  });

  it('never throws, and keeps its answers short', () => {
    const methods = fc.oneof(fc.constantFrom(...Object.keys(requestSchemas)), fc.string());
    const messages = fc.oneof(
      fc.string(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.record({ id: fc.anything(), method: methods, data: fc.object() }).map((value) => {
        try {
          return JSON.stringify(value);
        } catch {
          return '';
        }
      }),
    );
    fc.assert(
      fc.property(messages, (text) => {
        const parsed = parseRequest(text);
        if (parsed.ok) expect(Object.keys(requestSchemas)).toContain(parsed.request.method);
        else {
          expect(parsed.message.length).toBeGreaterThan(0);
          expect(parsed.message.length).toBeLessThanOrEqual(500);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
