// The lock between two set-ups.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from '../../../scripts/setup/lock.mjs';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-lock-'));
  path = join(folder, 'deeper', 'set-up.lock');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const never = () => {
  throw new Error('Expected no waiting');
};

describe('withLock', () => {
  it('holds the file while it works, and gives the result', async () => {
    const result = await withLock(path, never, async () => existsSync(path));
    expect(result).toBe(true);
    expect(existsSync(path)).toBe(false);
  });

  it('releases after a failure', async () => {
    await expect(withLock(path, never, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(existsSync(path)).toBe(false);
  });

  it('makes the second wait for the first', async () => {
    const order: string[] = [];
    const waiting = Promise.withResolvers<undefined>();
    const first = withLock(path, never, async () => {
      await waiting.promise;
      order.push('first');
    });
    const second = withLock(
      path,
      () => {
        order.push('waiting');
        waiting.resolve(undefined);
      },
      async () => {
        order.push('second');
      },
    );
    await Promise.all([first, second]);
    expect(order).toEqual(['waiting', 'first', 'second']);
  });

  it('takes over from a process that is gone', async () => {
    const gone = spawnSync(process.execPath, ['--version']).pid;
    await withLock(path, never, async () => undefined); // makes the folder
    writeFileSync(path, `${gone} ${hostname()}\n`);
    expect(await withLock(path, never, async () => 'mine')).toBe('mine');
  });

  it('takes over from another host once it gives no sign of life', async () => {
    await withLock(path, never, async () => undefined);
    writeFileSync(path, '1 another-host\n');
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(path, old, old);
    expect(await withLock(path, never, async () => 'mine')).toBe('mine');
  });

  it('leaves a live one alone', async () => {
    await withLock(path, never, async () => undefined);
    writeFileSync(path, '1 another-host\n');
    let waited = false;
    await withLock(
      path,
      () => {
        waited = true;
        rmSync(path); // the other host has finished
      },
      async () => undefined,
    );
    expect(waited).toBe(true);
  });
});
