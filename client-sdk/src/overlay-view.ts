// The overlay's DOM: built once, then updated in place; and the throttled word to screen readers.
import type { OverlayState } from './overlay-state.ts';
import { uncertainLabel } from './overlay-state.ts';
import { overlayCss } from './overlay-style.ts';
import { labelText, overlayText, percentText } from './overlay-text.ts';
import { emotionColor, emotionSign, stateSigns } from './palette.ts';

/** The inside of one overlay. */
export interface OverlayView {
  render(state: OverlayState): void;
  connect(): void;
  disconnect(): void;
}

/** Least time between two changes that are read out, ms. */
const announceEveryMs = 8000;

/** Builds the overlay in a shadow root. `host` gives the attribute `announce`. */
export function createOverlayView(root: ShadowRoot, host: HTMLElement): OverlayView {
  const doc = root.ownerDocument;
  adoptStyle(root, doc);

  const sign = svgSign(doc);
  const title = element(doc, 'span', 'title');
  const detail = element(doc, 'span', 'detail');
  const percent = element(doc, 'span', 'percent');
  const dot = element(doc, 'span', 'dot');
  const bar = element(doc, 'div', 'bar');
  const fill = element(doc, 'i');
  const classes = element(doc, 'ul', 'classes');
  const words = element(doc, 'div', 'words');
  const head = element(doc, 'div', 'head');
  const panel = element(doc, 'div', 'panel');
  const status = element(doc, 'div', 'status');
  words.append(title, detail);
  head.append(sign.svg, words, percent, dot);
  bar.append(fill);
  panel.append(head, bar, classes);
  panel.setAttribute('aria-hidden', 'true');
  panel.setAttribute('part', 'panel');
  status.setAttribute('role', 'status');
  root.append(panel, status);

  const distribution = createDistribution(doc, classes);
  const announcer = createAnnouncer((text) => {
    status.textContent = text;
  });

  return {
    render(state) {
      const text = overlayText(state);
      const emotion = state.kind === 'emotion' ? state : null;
      const measured = state.kind !== 'connecting' && state.kind !== 'not-measured';
      panel.dataset['kind'] = state.kind;
      panel.toggleAttribute('data-measured', measured);
      panel.toggleAttribute('data-uncertain', emotion !== null && (emotion.label === uncertainLabel || emotion.unreliable === true));
      tint(panel, emotion?.label ?? null);
      sign.set(state.kind === 'emotion' ? emotionSign(state.label) : stateSigns[state.kind]);
      title.textContent = text.title;
      detail.textContent = text.detail;
      detail.hidden = text.detail === '';
      percent.hidden = emotion === null;
      // Kept, empty, while there is nothing to say: the page must not jump with each pause.
      bar.hidden = !measured;
      percent.textContent = emotion === null ? '' : percentText(emotion.confidence);
      fill.style.transform = `scaleX(${String(clamp(emotion?.confidence ?? 0))})`;
      distribution(emotion?.probabilities ?? null, emotion?.label ?? '', measured);
      panel.title = text.spoken;
      dot.title = measured ? 'Being measured' : 'Not being measured';
      status.setAttribute('aria-live', host.getAttribute('announce') === 'off' ? 'off' : 'polite');
      // A change of confidence alone is not worth interrupting for.
      announcer.say(state.kind === 'emotion' ? `${state.kind} ${state.label}` : text.spoken, text.spoken);
    },
    connect() {
      announcer.resume();
    },
    disconnect() {
      announcer.stop();
    },
  };
}

/** Says the first thing at once and later ones at most every {@link announceEveryMs}, always the newest. */
function createAnnouncer(write: (text: string) => void): { say(topic: string, text: string): void; resume(): void; stop(): void } {
  let saidTopic: string | null = null;
  let next: { topic: string; text: string } | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const speak = (): void => {
    timer = undefined;
    if (next === null || next.topic === saidTopic) return;
    saidTopic = next.topic;
    write(next.text);
    timer = setTimeout(speak, announceEveryMs);
  };
  return {
    say(topic, text) {
      next = { topic, text };
      if (timer === undefined) speak();
    },
    resume() {
      if (timer === undefined) speak();
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

type DrawDistribution = (probabilities: Readonly<Record<string, number>> | null, lead: string, measured: boolean) => void;

/** Keeps one column for each class, from the first time that the classes are known. */
function createDistribution(doc: Document, list: HTMLElement): DrawDistribution {
  let shown = '';
  let columns: { label: string; item: HTMLElement; fill: HTMLElement }[] = [];
  return (probabilities, lead, measured) => {
    const labels = Object.keys(probabilities ?? {});
    if (labels.length > 0 && labels.join() !== shown) {
      shown = labels.join();
      columns = labels.map((label) => {
        const item = element(doc, 'li');
        const column = element(doc, 'b');
        const fill = element(doc, 'i');
        const name = element(doc, 'span');
        const sign = svgSign(doc);
        sign.set(emotionSign(label));
        name.textContent = labelText(label);
        tint(item, label);
        column.append(fill);
        item.append(column, sign.svg, name);
        return { label, item, fill };
      });
      list.replaceChildren(...columns.map(({ item }) => item));
    }
    list.hidden = !measured || columns.length === 0;
    for (const { label, item, fill } of columns) {
      const share = probabilities?.[label] ?? 0;
      fill.style.transform = `scaleY(${String(clamp(share))})`;
      item.title = `${labelText(label)} ${percentText(share)}`;
      item.toggleAttribute('data-lead', label === lead);
    }
  };
}

/** Gives an element the colours of a label; the style sheet takes the one that suits the ground. */
function tint(target: HTMLElement, label: string | null): void {
  target.classList.toggle('tinted', label !== null);
  if (label === null) return;
  target.style.setProperty('--_on-light', emotionColor(label, 'light'));
  target.style.setProperty('--_on-dark', emotionColor(label, 'dark'));
}

function svgSign(doc: Document): { svg: SVGSVGElement; set(path: string): void } {
  const svg = doc.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = doc.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'sign');
  svg.append(path);
  let shown = '';
  return {
    svg,
    set(d) {
      if (d !== shown) path.setAttribute('d', d);
      shown = d;
    },
  };
}

function element<K extends keyof HTMLElementTagNameMap>(doc: Document, name: K, className = ''): HTMLElementTagNameMap[K] {
  const made = doc.createElement(name);
  if (className !== '') made.className = className;
  return made;
}

/** A constructed sheet is allowed by a content policy that forbids inline styles; older browsers get a style element. */
function adoptStyle(root: ShadowRoot, doc: Document): void {
  const Sheet = doc.defaultView?.CSSStyleSheet;
  if (Sheet !== undefined && 'adoptedStyleSheets' in root && 'replaceSync' in Sheet.prototype) {
    const sheet = new Sheet();
    sheet.replaceSync(overlayCss);
    root.adoptedStyleSheets = [sheet];
    return;
  }
  const style = element(doc, 'style');
  style.textContent = overlayCss;
  root.append(style);
}

function clamp(ratio: number): number {
  return Math.min(1, Math.max(0, ratio));
}
