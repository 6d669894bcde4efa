// Plots as SVG text: lines over a common axis, or areas one upon the other. Colours and sizes of text are the page's own.

/** What is plotted. A value that is not known breaks the line. */
export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** A plot. */
export interface Plot {
  readonly title: string;
  /** What the values are. */
  readonly unit: string;
  /** Where the values lie, rising. */
  readonly xs: readonly number[];
  readonly xUnit: string;
  /** At most five. */
  readonly series: readonly Series[];
  /** Whether series add up. @default false */
  readonly stacked?: boolean;
  /** A value to draw a line at, and its name. */
  readonly limit?: { readonly value: number; readonly name: string };
}

/** A phone's width, so that text keeps its size there. */
const width = 360;
const height = 190;
const margin = { left: 44, right: 10, top: 10, bottom: 24 };
const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
const tickCount = 4;

/** The plot as a `figure` with a legend. */
export function plotHtml(plot: Plot): string {
  const { title, unit, xs, xUnit, series, stacked = false, limit } = plot;
  const tops = stacked ? stack(series) : series.map(({ values }) => values);
  const highest = Math.max(0, ...tops.flat().map((value) => value ?? 0), limit?.value ?? 0);
  const yTicks = ticks(0, highest === 0 ? 1 : highest, tickCount);
  const yMax = yTicks.at(-1) ?? 1;
  const [xMin, xMax] = [xs[0] ?? 0, xs.at(-1) ?? 1];
  const x = (value: number): number => margin.left + (xMax === xMin ? inner.width / 2 : ((value - xMin) / (xMax - xMin)) * inner.width);
  const y = (value: number): number => margin.top + inner.height * (1 - value / yMax);
  const grid = yTicks.map(
    (tick) =>
      `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${px(y(tick))}" y2="${px(y(tick))}"/>` +
      `<text class="tick" x="${margin.left - 6}" y="${px(y(tick) + 3.5)}" text-anchor="end">${tickText(tick)}</text>`,
  );
  const xAxis = ticks(xMin, xMax, tickCount)
    .filter((tick) => tick >= xMin && tick <= xMax)
    .map((tick) => `<text class="tick" x="${px(x(tick))}" y="${height - 8}" text-anchor="middle">${tickText(tick)}</text>`);
  const marks = tops.map((values, i) => {
    const colour = `s${i + 1}`;
    if (stacked) return `<path class="area ${colour}" d="${areaPath(xs, values, tops[i - 1], x, y)}"/>`;
    const dots =
      xs.length > 1
        ? ''
        : values
            .map((value) => (value === null ? '' : `<circle class="dot ${colour}" r="3" cx="${px(x(xMin))}" cy="${px(y(value))}"/>`))
            .join('');
    return `<path class="line ${colour}" d="${linePath(xs, values, x, y)}"/>${dots}`;
  });
  const limitLine =
    limit === undefined
      ? ''
      : `<line class="limit" x1="${margin.left}" x2="${width - margin.right}" y1="${px(y(limit.value))}" y2="${px(y(limit.value))}"/>`;
  const legend = [
    ...series.map(({ name }, i) => `<li><i class="key s${i + 1}"></i>${escapeHtml(name)}</li>`),
    ...(limit === undefined ? [] : [`<li><i class="key limit"></i>${escapeHtml(limit.name)}</li>`]),
  ];
  const label = `${title}, ${unit}: ${series.map(({ name }) => name).join(', ')}`;
  return [
    `<figure><figcaption>${escapeHtml(title)} <span>${escapeHtml(unit)}, over ${escapeHtml(xUnit)}</span></figcaption>`,
    series.length + (limit === undefined ? 0 : 1) > 1 ? `<ul class="legend">${legend.join('')}</ul>` : '',
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(label)}">`,
    ...grid,
    ...xAxis,
    ...marks,
    limitLine,
    '</svg></figure>',
  ].join('\n');
}

/** Round numbers from `from` to at least `to`, about as many as asked for. */
export function ticks(from: number, to: number, count: number): number[] {
  const span = to > from ? to - from : 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const found: number[] = [];
  for (let i = Math.floor(from / step + 1e-9); ; i += 1) {
    found.push(Number((i * step).toPrecision(12)));
    if (i * step >= to - 1e-9 * step && found.length > 1) return found;
  }
}

/** Text that may stand in HTML. */
export function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? character);
}

/** Each series with all those below it; a value that is not known counts as none. */
function stack(series: readonly Series[]): number[][] {
  const tops: number[][] = [];
  for (const { values } of series) {
    const below = tops.at(-1);
    tops.push(values.map((value, i) => (value ?? 0) + (below?.[i] ?? 0)));
  }
  return tops;
}

type Scale = (value: number) => number;

function linePath(xs: readonly number[], values: readonly (number | null)[], x: Scale, y: Scale): string {
  let down = false;
  return values
    .map((value, i) => {
      if (value === null || !Number.isFinite(value)) {
        down = false;
        return '';
      }
      const command = down ? 'L' : 'M';
      down = true;
      return `${command}${px(x(xs[i] ?? 0))} ${px(y(value))}`;
    })
    .join('');
}

function areaPath(
  xs: readonly number[],
  top: readonly (number | null)[],
  bottom: readonly (number | null)[] | undefined,
  x: Scale,
  y: Scale,
): string {
  const along = (values: readonly number[], from: 'left' | 'right'): string => {
    const points = values.map((value, i) => `${px(x(xs[i] ?? 0))} ${px(y(value))}`);
    return (from === 'left' ? points : points.toReversed()).join('L');
  };
  const upper = top.map((value) => value ?? 0);
  const lower = top.map((_value, i) => bottom?.[i] ?? 0);
  return upper.length === 0 ? '' : `M${along(upper, 'left')}L${along(lower, 'right')}Z`;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function tickText(value: number): string {
  if (Math.abs(value) >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(6)));
}
