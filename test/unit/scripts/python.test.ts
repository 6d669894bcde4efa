// Which allocator training runs with.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { allocatorOf } from '../../../scripts/setup/python.mjs';

const library = fileURLToPath(import.meta.url);

describe('allocatorOf', () => {
  it('is jemalloc where it is there', () => {
    expect(allocatorOf({}, library)).toEqual({ LD_PRELOAD: library, MALLOC_CONF: 'dirty_decay_ms:60000' });
    expect(allocatorOf({ MALLOC_CONF: 'narenas:1' }, library)).toEqual({ LD_PRELOAD: library, MALLOC_CONF: 'narenas:1' });
  });

  it('is left alone where it is not there, or where another is asked for', () => {
    expect(allocatorOf({}, `${library}.missing`)).toEqual({});
    expect(allocatorOf({ LD_PRELOAD: '/another.so' }, library)).toEqual({});
  });
});
