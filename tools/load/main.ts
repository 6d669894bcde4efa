// Loads a server with simulated callers: `npm run load -- --callers N --seconds S`. Exits with 1 where anything is missing, 2 where it cannot run.
import { writeFileSync } from 'node:fs';
import { isUndertoneError, messageOf } from '../../src/errors.ts';
import { systemClock } from '../../src/clock.ts';
import { describeMachine } from '../bench/report.ts';
import { Display } from './display.ts';
import { beyondLimit, figuresOf, growthOf, type LoadFigures, type RunFigures, type StepFigures } from './figures.ts';
import { findLimit } from './find-limit.ts';
import { readOptions, usage, type LoadOptions } from './options.ts';
import { reportHtml } from './report.ts';
import { runOnce, type Sample } from './run.ts';
import { tableOf } from './text.ts';
import { loadVoices, type Voices } from './voices.ts';

interface Outcome {
  readonly figures: RunFigures;
  readonly samples: readonly Sample[];
}

interface Found extends Outcome {
  readonly limitCallers: number | null;
  readonly curve: readonly StepFigures[];
  readonly failed: boolean;
}

const display = new Display(process.stderr);

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const signal = interruption();
  const machine = describeMachine();
  const voices = await loadVoices(options);
  const { figures: run, samples, limitCallers, curve, failed } = await (options.findLimit ? search : once)(options, voices, signal);
  display.clear();
  const { token: _token, ...shown } = options;
  const server = options.url ?? 'own';
  const figures: LoadFigures = {
    format: 'undertone-load/1',
    ...run,
    limitCallers,
    machine,
    server,
    voices: voices.description,
    options: shown,
    curve,
    growth: growthOf(curve),
  };
  const json = `${JSON.stringify(figures, null, 2)}\n`;
  if (options.json === '-') process.stdout.write(json);
  else if (options.json !== null) writeFileSync(options.json, json);
  const output = options.json === '-' ? process.stderr : process.stdout;
  output.write(tableOf(figures));
  if (options.html !== null) {
    writeFileSync(options.html, reportHtml(figures, samples, systemClock.nowMs()));
    output.write(`\nThe report is in ${options.html}\n`);
  }
  process.exitCode = failed ? 1 : 0;
}

async function once(options: LoadOptions, voices: Voices, signal: AbortSignal): Promise<Found> {
  const outcome = await attempt(options, options.callers, voices, signal);
  return { ...outcome, limitCallers: null, curve: [], failed: outcome.figures.failures.length > 0 };
}

/** A server that refuses callers or goes away has met its limit, too. */
async function search(options: LoadOptions, voices: Voices, signal: AbortSignal): Promise<Found> {
  const interrupted = (): boolean => signal.aborted;
  const { limitCallers, open, attempts } = await findLimit<Outcome | null>({
    start: options.callers,
    most: options.maxCallers,
    attempt: async (callers) => {
      if (interrupted()) return null;
      try {
        const result = await attempt(options, callers, voices, signal);
        return result.figures.interrupted ? null : { reason: beyondLimit(result.figures), result };
      } catch (error) {
        return interrupted() ? null : { reason: messageOf(error), result: null };
      }
    },
  });
  const shown = attempts.findLast(({ reason }) => reason === null) ?? attempts.find(({ result }) => result !== null);
  const result = shown?.result ?? null;
  if (result === null) {
    throw new Error(attempts[0]?.reason ?? 'Expected time for a first step, got an interruption');
  }
  const curve = attempts.map(({ callers, reason, result }) => ({
    callers,
    passed: reason === null,
    reason,
    figures: result?.figures ?? null,
  }));
  const note = signal.aborted
    ? 'the search was interrupted: the limit is what had passed by then'
    : 'the search ended before a step that does not pass';
  const warnings = [...result.figures.warnings, ...(open || interrupted() ? [note] : [])];
  return { samples: result.samples, figures: { ...result.figures, warnings }, limitCallers, curve, failed: limitCallers === 0 };
}

async function attempt(options: LoadOptions, callers: number, voices: Voices, signal: AbortSignal): Promise<Outcome> {
  const title = `${callers} callers, ${options.url ?? 'a server of its own'}`;
  const run = await runOnce({
    options,
    callers,
    voices,
    signal,
    onProgress: (progress) => {
      display.show(title, progress);
    },
  });
  return { figures: figuresOf(run), samples: run.samples };
}

/** Ends the run early on the first SIGINT or SIGTERM, and the process at once on a second. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const handle = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', handle);
  process.on('SIGTERM', handle);
  return controller.signal;
}

main().catch((error: unknown) => {
  display.clear();
  process.stderr.write(`${isUndertoneError(error) ? `${error.code}: ` : ''}${messageOf(error)}\n`);
  process.exit(2);
});
