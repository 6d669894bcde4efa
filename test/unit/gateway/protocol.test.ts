// The schemas of client messages: what fits, and what is said of what does not.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { isUndertoneError } from '../../../src/errors.ts';
import { parseClientMessage } from '../../../src/gateway/protocol.ts';

describe('parseClientMessage', () => {
  it.each([
    { type: 'hello', token: 't' },
    { type: 'subscribe', callId: 'c' },
    { type: 'subscribe', callId: 'c', resume: { seq: 0 } },
    { type: 'subscribe', callId: 'c', resume: { epoch: 'e', seq: 12 } },
    { type: 'unsubscribe', callId: 'c' },
  ])('takes %j', (message) => {
    expect(parseClientMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each([
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ['null', 'Expected a JSON object'],
    ['[]', 'Expected a JSON object'],
    ['7', 'Expected a JSON object'],
    ['{}', 'Expected `type` to be `hello`, `subscribe` or `unsubscribe`, got a value of type undefined'],
    ['{"type":"publish"}', 'got `publish`'],
    ['{"type":"toString"}', 'got `toString`'],
    ['{"type":["hello"]}', 'got a value of type object'],
    ['{"type":"hello"}', '`token`'],
    ['{"type":"hello","token":1}', '`token`'],
    ['{"type":"hello","token":"t","more":1}', 'more'],
    ['{"type":"subscribe"}', '`callId`'],
    ['{"type":"subscribe","callId":""}', '`callId`'],
    [`{"type":"subscribe","callId":"${'x'.repeat(129)}"}`, '`callId`'],
    ['{"type":"subscribe","callId":"c","resume":5}', '`resume`'],
    ['{"type":"subscribe","callId":"c","resume":{}}', '`resume.seq`'],
    ['{"type":"subscribe","callId":"c","resume":{"seq":-1}}', '`resume.seq`'],
    ['{"type":"subscribe","callId":"c","resume":{"seq":1.5}}', '`resume.seq`'],
    ['{"type":"subscribe","callId":"c","resume":{"seq":"1"}}', '`resume.seq`'],
    ['{"type":"subscribe","callId":"c","resume":{"epoch":"","seq":1}}', '`resume.epoch`'],
    ['{"type":"subscribe","callId":"c","resume":{"seq":1,"x":1}}', '`resume`'],
    ['{"type":"unsubscribe","callId":null}', '`callId`'],
  ])('refuses %s', (text, words) => {
    expect(() => parseClientMessage(text)).toThrow(
      expect.objectContaining({ code: 'UT_MESSAGE_INVALID', message: expect.stringContaining(words) }),
    );
  });

  it('throws nothing but UT_MESSAGE_INVALID, whatever comes', () => {
    const type = fc.constantFrom('hello', 'subscribe', 'unsubscribe');
    const nearly = fc.record({ type, callId: fc.jsonValue(), resume: fc.jsonValue(), token: fc.jsonValue() }, { requiredKeys: ['type'] });
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      nearly.map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(text, (message) => {
        let fault: unknown = null;
        try {
          parseClientMessage(message);
        } catch (error) {
          fault = error;
        }
        expect(fault === null || (isUndertoneError(fault) && fault.code === 'UT_MESSAGE_INVALID')).toBe(true);
      }),
    );
  });
});
