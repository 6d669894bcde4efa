// The comparison of Node versions, and its agreement with package.json.
import { describe, expect, it } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { oldestNode } from '../../../scripts/setup/node.mjs';
import { isAtLeast } from '../../../scripts/setup/version.mjs';

describe('isAtLeast', () => {
  it.each([
    ['v22.18.0', '22.18.0', true],
    ['v22.18.1', '22.18.0', true],
    ['v24.0.0', '22.18.0', true],
    ['v22.9.0', '22.18.0', false],
    ['v22.17.9', '22.18.0', false],
    ['v20.20.2', '22.18.0', false],
    ['v9.99.99', '22.18.0', false],
    ['24', '22.18', true],
    ['24.0.0-rc.1', '24.0.0', true],
  ])('%s against %s: %s', (version, wanted, expected) => {
    expect(isAtLeast(version, wanted)).toBe(expected);
  });

  it('refuses what is no version', () => {
    expect(() => isAtLeast('latest', '22.18.0')).toThrow('got `latest`');
  });
});

describe('oldestNode', () => {
  it('is what package.json asks for', () => {
    expect(packageJson.engines.node).toBe(`>=${oldestNode.replace(/\.0$/, '')}`);
  });
});
