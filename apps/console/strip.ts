// A participant's last two minutes as a strip, and the same in words.
import { emotionColor, labelText, percentText, uncertainLabel } from '@undertone/client/overlay';
import { setText } from '../shared/dom.ts';
import { sharesOf, type GapSpan, type History } from './history.ts';

/** How far back a strip reaches, ms. */
export const stripMs = 120_000;

/** A strip. */
export interface Strip {
  readonly element: HTMLElement;
  /** Draws the strip as of a moment on the call's media clock. */
  draw(history: History, nowMs: number): void;
}

const gapTexts: Readonly<Record<GapSpan['reason'], string>> = {
  waiting: 'the server has too much to do, and it was others’ turn',
  overload: 'the server had too much to do',
  engine: 'the inference engine failed',
  media: 'the sound was lost',
};

/** Widths in per cent of the strip from which a run has room for its word. */
const roomForWordPercent = 13;
/** Least time between two changes of the words, ms: a screen reader may be reading them. */
const describeEveryMs = 5000;
const svgNamespace = 'http://www.w3.org/2000/svg';

/** Makes a strip. `name` is whose it is. */
export function createStrip(name: string): Strip {
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('class', 'strip-drawing');
  svg.setAttribute('aria-hidden', 'true');
  const words = document.createElement('p');
  words.className = 'visually-hidden';
  const element = document.createElement('div');
  element.className = 'strip';
  element.append(svg, words);
  let describedMs = -Infinity;

  return {
    element,
    draw(history, nowMs) {
      const fromMs = nowMs - stripMs;
      const at = (ms: number): number => (Math.max(ms, fromMs) - fromMs) / (stripMs / 100);
      const shapes: SVGElement[] = [];
      const add = (className: string, start: number, end: number | null, y: number, height: number): SVGElement | null => {
        const endMs = Math.min(end ?? nowMs, nowMs);
        if (endMs <= fromMs || endMs <= start) return null;
        const shape = rect(className, at(start), at(endMs) - at(start), y, height);
        shapes.push(shape);
        return shape;
      };
      for (const span of history.measured) add('measured', span.fromMs, span.toMs, 0, 100);
      for (const span of history.speech) add('speech', span.fromMs, span.toMs, 92, 8);
      for (const run of history.runs) {
        const height = 20 + 66 * run.confidence;
        const shape = add('run', run.fromMs, run.toMs, 88 - height, height);
        if (shape === null) continue;
        shape.classList.toggle('uncertain', run.label === uncertainLabel);
        shape.style.setProperty('--on-light', emotionColor(run.label, 'light'));
        shape.style.setProperty('--on-dark', emotionColor(run.label, 'dark'));
        shape.append(
          titleOf(`${labelText(run.label)}, ${percentText(run.confidence)} confidence, for ${secondsText(run.toMs - run.fromMs)}`),
        );
        if (at(run.toMs) - at(run.fromMs) < roomForWordPercent) continue;
        const label = word(labelText(run.label), (at(run.toMs) + at(run.fromMs)) / 2);
        label.classList.toggle('uncertain', run.label === uncertainLabel);
        shapes.push(label);
      }
      for (const span of history.gaps) {
        add('gap', span.fromMs, span.toMs, 0, 100)?.append(
          titleOf(`Not scored for ${secondsText(span.toMs - span.fromMs)}: ${gapTexts[span.reason]}`),
        );
      }
      svg.replaceChildren(...shapes);
      if (performance.now() - describedMs < describeEveryMs) return;
      // From nothing to something need not wait.
      describedMs = history.runs.length === 0 ? -Infinity : performance.now();
      setText(words, `${name}, last two minutes: ${describe(history, fromMs, nowMs)}`);
    },
  };
}

function describe(history: History, fromMs: number, nowMs: number): string {
  const shares = sharesOf(history, fromMs, nowMs);
  if (shares.length === 0) return 'nothing was scored.';
  return `${shares.map(({ label, ratio }) => `${labelText(label).toLowerCase()} ${percentText(ratio)}`).join(', ')} of the scored time.`;
}

function secondsText(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function rect(className: string, x: number, width: number, y: number, height: number): SVGElement {
  const shape = document.createElementNS(svgNamespace, 'rect');
  shape.setAttribute('class', className);
  for (const [key, value] of Object.entries({ x, y, width, height })) shape.setAttribute(key, `${value.toFixed(2)}%`);
  return shape;
}

function titleOf(text: string): SVGTitleElement {
  const title = document.createElementNS(svgNamespace, 'title');
  title.textContent = text;
  return title;
}

function word(text: string, x: number): SVGElement {
  const element = document.createElementNS(svgNamespace, 'text');
  element.setAttribute('class', 'word');
  element.setAttribute('x', `${x.toFixed(2)}%`);
  element.setAttribute('y', '50%');
  element.textContent = text;
  return element;
}
