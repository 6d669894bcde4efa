import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readOptions } from '../../../tools/load/options.ts';
import { seatCallers } from '../../../tools/load/seats.ts';
import { dealCalls } from '../../../tools/load/subscribers.ts';

const folder = mkdtempSync(join(tmpdir(), 'load-options-'));
const file = join(folder, 'config.json');
writeFileSync(file, '{}');
const least = ['--callers', '4', '--seconds', '6'];
const listening = [...least, '--listeners', '0.5'];

afterAll(() => rmSync(folder, { recursive: true }));

describe('options of a load test', () => {
  it('are a call as people have it, where nothing else is asked for', () => {
    expect(readOptions(least)).toEqual({
      callers: 4,
      seconds: 6,
      warmUpSeconds: 3,
      audioDir: null,
      codec: 'opus',
      bitrateKbps: null,
      lossPercent: 0,
      jitterMs: 0,
      audioLevel: false,
      roomDbov: null,
      dtx: false,
      churnPerMinute: 0,
      talkRatio: 0.4,
      listenerShare: 0,
      stretchSeconds: null,
      mute: false,
      callSize: 4,
      subscribers: null,
      findLimit: false,
      maxCallers: 5000,
      url: null,
      token: null,
      configFile: null,
      seed: 1,
      json: null,
      html: 'load-report.html',
    });
  });

  it('are all understood', () => {
    const given = [
      ...least,
      ...[
        '--warm-up',
        '0',
        '--audio',
        folder,
        '--bitrate',
        '16',
        '--loss',
        '5',
        '--jitter',
        '40',
        '--dtx',
        '--audio-level',
        '--room',
        '66',
        '--churn',
        '12',
        '--talk',
        '1',
      ],
      ...[
        '--listeners',
        '0.5',
        '--call-size',
        '2',
        '--subscribers',
        '9',
        '--find-limit',
        '--max-callers',
        '64',
        '--url',
        'http://127.0.0.1:8080/x',
        '--token',
        't',
      ],
      ...['--seed', '7', '--json', '-', '--no-html'],
    ];
    expect(readOptions(given)).toMatchObject({
      ...{
        warmUpSeconds: 0,
        audioDir: folder,
        bitrateKbps: 16,
        lossPercent: 5,
        jitterMs: 40,
        dtx: true,
        audioLevel: true,
        roomDbov: -66,
        churnPerMinute: 12,
        talkRatio: 1,
      },
      ...{
        listenerShare: 0.5,
        callSize: 2,
        subscribers: 9,
        findLimit: true,
        maxCallers: 64,
        url: 'http://127.0.0.1:8080',
        token: 't',
        seed: 7,
        json: '-',
        html: null,
      },
    });
    expect(readOptions([...least, '--codec', 'pcmu', '--config', file])).toMatchObject({ codec: 'pcmu', configFile: file });
    expect(readOptions([...listening, '--seconds', '60', '--alternate', '15'])).toMatchObject({ stretchSeconds: 15, mute: false });
    expect(readOptions([...listening, '--seconds', '60', '--alternate', '15', '--mute'])).toMatchObject({ stretchSeconds: 15, mute: true });
    expect(readOptions(['--help'])).toBeNull();
  });

  it.each([
    [[], '--callers to be a whole number from 1 to 5000, got none'],
    [['--callers', '4'], '--seconds to be a number from 1 to 86400, got none'],
    [['--callers', '0', '--seconds', '6'], '--callers to be a whole number from 1 to 5000, got `0`'],
    [['--callers', '4.5', '--seconds', '6'], '--callers to be a whole number from 1 to 5000, got `4.5`'],
    [['--callers', '4', '--seconds', 'x'], '--seconds to be a number from 1 to 86400, got `x`'],
    [[...least, '--codec', 'g729'], '--codec to be opus or pcmu, got `g729`'],
    [[...least, '--bitrate', '5'], '--bitrate to be a number from 6 to 510, got `5`'],
    [[...least, '--codec', 'pcmu', '--bitrate', '16'], '--bitrate without --codec pcmu, got both'],
    [[...least, '--loss', '100'], '--loss to be a number from 0 to 90, got `100`'],
    [[...least, '--room', '0'], '--room to be a number from 30 to 90, got `0`'],
    [[...least, '--jitter', '2000'], '--jitter to be a number from 0 to 1000, got `2000`'],
    [[...least, '--talk', '0'], '--talk to be a number from 0.01 to 1, got `0`'],
    [[...least, '--listeners', '1.5'], '--listeners to be a number from 0 to 1, got `1.5`'],
    [[...least, '--alternate', '15'], '--alternate with --listeners, got nobody who is to listen'],
    [[...listening, '--mute'], '--mute with --alternate, got it alone'],
    [[...listening, '--alternate', '26', '--mute'], '--alternate to be at most 25 with --mute'],
    [[...listening, '--alternate', '11'], '--alternate to be a number from 12 to 3600, got `11`'],
    [[...listening, '--alternate', '15'], '--seconds to be at least four stretches of --alternate, 60, got `6`'],
    [[...listening, '--alternate', '15', '--find-limit'], '--alternate without --find-limit, got both'],
    [[...least, '--call-size', '31'], '--call-size to be a whole number from 1 to 30, got `31`'],
    [[...least, '--audio', '/nowhere'], '--audio to be a folder, got `/nowhere`'],
    [[...least, '--url', 'ftp://x'], '--url to be an http or https address, got `ftp://x`'],
    [[...least, '--token', 'x'], '--token with --url, got none'],
    [[...least, '--url', 'http://127.0.0.1:1', '--config', file], '--config without --url, got both'],
    [[...least, '--max-callers', '64'], '--max-callers with --find-limit, got it alone'],
    [[...least, '--find-limit', '--max-callers', '2'], '--max-callers to be a whole number from 4 to 5000, got `2`'],
    [[...least, '--html', 'x', '--no-html'], '--html without --no-html, got both'],
    [[...least, '--subscriber', '2'], 'Usage: npm run load'],
  ])('refuse %j and say what was expected', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });
});

describe('seats', () => {
  it('are in calls of the asked size, evenly', () => {
    expect(seatCallers(8, 4)).toEqual([4, 4]);
    expect(seatCallers(9, 4)).toEqual([3, 3, 3]);
    expect(seatCallers(1, 4)).toEqual([1]);
  });

  it('are more to a call where a server would not take so many calls', () => {
    const seats = seatCallers(1000, 4);
    expect(seats.length).toBeLessThanOrEqual(180);
    expect(seats.reduce((sum, count) => sum + count, 0)).toBe(1000);
    expect(() => seatCallers(5401, 4)).toThrow('Expected at most 5400 callers on one server, got `5401`');
  });
});

describe('calls are dealt to sockets', () => {
  const calls = Array.from({ length: 5 }, (_, i) => `c${i}`);

  it('each to one at least', () => {
    expect(dealCalls(calls, 2)).toEqual([
      ['c0', 'c2', 'c4'],
      ['c1', 'c3'],
    ]);
    expect(dealCalls(calls, 5)).toEqual(calls.map((call) => [call]));
    expect(dealCalls(['a', 'b'], 5)).toEqual([['a'], ['b'], ['a'], ['b'], ['a']]);
  });

  it('not more to one than the server allows', () => {
    const many = Array.from({ length: 257 }, (_, i) => String(i));
    expect(() => dealCalls(many, 1)).toThrow('--subscribers to be 2 or more for 257 calls, got `1`');
  });
});
