// One colour and one sign for each emotion; labels that are not known get a stable colour and a plain sign.
import { uncertainLabel, type OverlayState } from './overlay-state.ts';

/** Colours on light and on dark ground; each has a contrast of at least 3 to 1 there. For shapes, not for text. */
const colors: Readonly<Record<string, readonly [light: string, dark: string]>> = {
  anger: ['#cf3a36', '#f4776d'],
  disgust: ['#5f791b', '#a8c055'],
  fear: ['#8250c4', '#b795ee'],
  happiness: ['#a36900', '#f3bd4e'],
  neutral: ['#5f7387', '#98acbf'],
  sadness: ['#2a70c8', '#70aef5'],
  [uncertainLabel]: ['#6f7177', '#9a9da4'],
};

// Faces on a 24 by 24 grid, drawn with a stroke: mouth and brows tell them apart without colour.
const eyes = 'M8.5 10v.6M15.5 10v.6';
const face = 'M12 2.8a9.2 9.2 0 1 0 0 18.4a9.2 9.2 0 1 0 0-18.4';
const signs: Readonly<Record<string, string>> = {
  anger: `${face}M8.2 16.6c1.1-1.5 2.3-2.1 3.8-2.1s2.7.6 3.8 2.1M6.8 7.6l3.2 1.8M17.2 7.6l-3.2 1.8M8.8 11v.5M15.2 11v.5`,
  disgust: `${face}M7.6 15.6c1-1 2-1 2.9 0s2 1 3 0 1.9-1 2.9 0M7.2 9.4h2.9M13.9 9.4h2.9`,
  fear: `${face}M12 13.6a2 2.4 0 1 0 0 4.8a2 2.4 0 1 0 0-4.8M6.9 8.4l2.6-1.3M17.1 8.4l-2.6-1.3M8.7 10.4v.6M15.3 10.4v.6`,
  happiness: `${face}${eyes}M7.6 13.8c.9 2.2 2.5 3.3 4.4 3.3s3.5-1.1 4.4-3.3`,
  neutral: `${face}${eyes}M8.2 15.4h7.6`,
  sadness: `${face}M8.2 17c1-1.5 2.3-2.2 3.8-2.2s2.8.7 3.8 2.2M9.7 8l-2.6 1.2M14.3 8l2.6 1.2M8.7 11v.5M15.3 11v.5`,
  [uncertainLabel]: `${face}M9.4 9.4c.2-1.6 1.2-2.4 2.6-2.4s2.6.9 2.6 2.3c0 2.1-2.6 2.1-2.6 4.3M12 16.8v.2`,
};
const plainSign = `${face}M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6`;

/** The colour of a label as a CSS value. The custom property `--undertone-color-<label>` overrides it. */
export function emotionColor(label: string, scheme: 'light' | 'dark'): string {
  const known = find(colors, label);
  const own =
    known === undefined ? `hsl(${String(hueOf(label))} 45% ${scheme === 'light' ? '42%' : '68%'})` : known[scheme === 'light' ? 0 : 1];
  return `var(--undertone-color-${label.replace(/[^\w-]/g, '-')}, ${own})`;
}

/** The sign of a label: the `d` of an SVG path on a 24 by 24 grid, to be stroked. */
export function emotionSign(label: string): string {
  return find(signs, label) ?? plainSign;
}

/** Signs of the states that are no emotion, in the same manner. */
export const stateSigns: Readonly<Record<Exclude<OverlayState['kind'], 'emotion'>, string>> = {
  connecting: 'M12 5.5a6.5 6.5 0 1 1-6.5 6.5',
  'not-measured': `${face}M5.6 5.6l12.8 12.8`,
  listening: 'M5 10.5v3M8.5 8v8M12 5v14M15.5 8v8M19 10.5v3',
  silence: 'M4.5 12h3M10.5 12h3M16.5 12h3',
};

function find<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.entries(table).find(([name]) => name === key)?.[1];
}

/** FNV-1a over the characters, onto the circle of hues. */
function hueOf(label: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < label.length; index += 1) hash = Math.imul(hash ^ label.charCodeAt(index), 0x01000193) >>> 0;
  return hash % 360;
}
