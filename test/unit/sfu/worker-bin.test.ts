// Where the worker binary is looked for.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { version } from 'mediasoup';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachedWorkerBin, findWorkerBin } from '../../../src/sfu/worker-bin.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'undertone-'));
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

function put(path: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  chmodSync(path, mode);
}

describe('findWorkerBin', () => {
  it('takes what it is told before anything else', () => {
    put(cachedWorkerBin({ HOME: home }), 0o755);
    expect(findWorkerBin({ HOME: home, MEDIASOUP_WORKER_BIN: '/some/where' })).toBe('/some/where');
  });

  it('finds the binary of this version of mediasoup in the cache', () => {
    const path = join(home, '.cache', 'undertone', 'mediasoup-worker', version, 'mediasoup-worker');
    put(path, 0o755);
    expect(findWorkerBin({ HOME: home, MEDIASOUP_WORKER_BIN: '' })).toBe(path);
    expect(findWorkerBin({ HOME: home }, '0.0.1')).toBeUndefined();
  });

  it("honours the user's cache folder, where that is absolute as its specification asks", () => {
    const cache = join(home, 'elsewhere');
    put(cachedWorkerBin({ XDG_CACHE_HOME: cache }), 0o755);
    expect(findWorkerBin({ HOME: home, XDG_CACHE_HOME: cache })).toBe(cachedWorkerBin({ XDG_CACHE_HOME: cache }));
    expect(cachedWorkerBin({ HOME: home, XDG_CACHE_HOME: 'relative' })).toBe(cachedWorkerBin({ HOME: home }));
  });

  it('leaves it to mediasoup where there is none, or one that cannot be executed', () => {
    expect(findWorkerBin({ HOME: home })).toBeUndefined();
    put(cachedWorkerBin({ HOME: home }), 0o644);
    expect(findWorkerBin({ HOME: home })).toBeUndefined();
  });
});
