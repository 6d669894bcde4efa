// Making elements without a framework: one function, and the icons.

type Child = Node | string | null;

/** Properties of {@link h}: `class`, `on…` listeners, or attributes; `false` and `null` leave one out. */
export type Props = Readonly<Record<string, string | number | boolean | null | ((event: Event) => void)>>;

/** Makes an element. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(key.replace(/^on/, ''), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== null) element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** The element of an id that the page's own HTML has. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`Expected an element \`${id}\` of ${type.name}`);
}

/** Sets text only where it differs: a selection stays, and screen readers are not disturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** An icon of the page's set, hidden from screen readers: the word stands beside it. */
export function icon(name: keyof typeof icons): SVGSVGElement {
  return drawing(icons[name], 'icon');
}

/** A stroked path on a 24 by 24 grid. */
export function drawing(path: string, className: string): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', className);
  svg.setAttribute('aria-hidden', 'true');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}

const icons = {
  wave: 'M3 12c2 0 2-5 4-5s2 11 4 11 2-14 4-14 2 8 4 8h2',
  mic: 'M12 3.5a2.8 2.8 0 0 0-2.8 2.8v5a2.8 2.8 0 0 0 5.6 0v-5A2.8 2.8 0 0 0 12 3.5M6 11a6 6 0 0 0 12 0M12 17v3.5',
  'mic-off':
    'M14.8 10V6.3a2.8 2.8 0 0 0-5.2-1.4M9.2 9.2v2.1a2.8 2.8 0 0 0 4.4 2.3M6 11a6 6 0 0 0 9.8 4.6M17.8 12.4A6 6 0 0 0 18 11M12 17v3.5M4 4l16 16',
  camera: 'M4.5 7h8A1.5 1.5 0 0 1 14 8.5v7a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 3 15.500v-7A1.5 1.5 0 0 1 4.5 7M14 11l7-3.500v9L14 13',
  'camera-off':
    'M9 7h3.500A1.5 1.5 0 0 1 14 8.500V12M14 14.500v1a1.5 1.5 0 0 1-1.5 1.500h-8A1.5 1.5 0 0 1 3 15.500v-7A1.5 1.5 0 0 1 4.5 7H6M16 10l5-2.500v9M4 4l16 16',
  pulse: 'M3 12h4l2.5-6 4 12 2.5-6h5',
  'pulse-off': 'M3 12h4l1.5-3.500M11 11l2.5 7 1.3-3.200M17 12h4M4 4l16 16',
  link: 'M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.700L12 7M14 10a4 4 0 0 0-6-.4l-3 3A4 4 0 0 0 10.7 18.300L12 17',
  leave:
    'M14 7V5.500A1.5 1.5 0 0 0 12.5 4h-6A1.5 1.5 0 0 0 5 5.500v13A1.5 1.5 0 0 0 6.5 20h6a1.5 1.5 0 0 0 1.5-1.500V17M10 12h10M17 9l3 3-3 3',
  check: 'M5 12.500l4.5 4.500L19 7.5',
  people:
    'M9 11a3.2 3.2 0 1 0 0-6.400A3.2 3.2 0 0 0 9 11M3.5 19a5.5 5.5 0 0 1 11 0M16 10.800a2.8 2.8 0 1 0-1-5.400M16.8 14a5 5 0 0 1 3.7 5',
  open: 'M13 5h6v6M19 5l-8 8M11 6H6.500A1.5 1.5 0 0 0 5 7.500v10A1.5 1.5 0 0 0 6.5 19h10a1.5 1.5 0 0 0 1.5-1.500V13',
} as const;
