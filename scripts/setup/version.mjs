// Compares versions of the form `v22.18.0`.

/**
 * Whether a version is the wanted one or newer. A pre-release (`24.0.0-rc.1`) counts as its release.
 *
 * @param {string} version
 * @param {string} wanted
 */
export function isAtLeast(version, wanted) {
  const have = numbers(version);
  for (const [index, want] of numbers(wanted).entries()) {
    const part = have[index] ?? 0;
    if (part !== want) return part > want;
  }
  return true;
}

/**
 * @param {string} version
 * @returns {number[]}
 */
function numbers(version) {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(version);
  if (match === null) throw new TypeError(`Expected a version such as \`22.18.0\`, got \`${version}\``);
  return match.slice(1).map((part) => Number(part ?? 0));
}
