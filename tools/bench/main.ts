// Runs the benchmarks: `npm run bench -- [--only NAME] [--seconds N] [--json FILE]`. Exits with 1 where a requirement is not met.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureEngines } from './engines.ts';
import { measureInstead } from './instead.ts';
import { measureInference } from './inference.ts';
import { measureLatency } from './latency.ts';
import { describeMachine, format, type BenchmarkOptions, type BenchmarkResult } from './report.ts';
import { measureLoss, measureOpus } from './opus.ts';
import { measureMemory } from './memory.ts';
import { measureSkip } from './skip.ts';
import { measureStages } from './stages.ts';
import { measureStore } from './store.ts';
import { measureStreaming } from './streaming.ts';
import { measureThreads } from './threads.ts';
import { measureTurns } from './turns.ts';

const benchmarks: Readonly<Record<string, (options: BenchmarkOptions) => Promise<BenchmarkResult>>> = {
  stages: measureStages,
  turns: measureTurns,
  skip: measureSkip,
  opus: measureOpus,
  loss: measureLoss,
  inference: measureInference,
  engines: measureEngines,
  streaming: measureStreaming,
  instead: measureInstead,
  memory: measureMemory,
  store: measureStore,
  latency: measureLatency,
  threads: measureThreads,
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: Object.keys(benchmarks) },
    seconds: { type: 'string', default: '60' },
    json: { type: 'string' },
  },
});
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`Expected --seconds to be a positive number, got \`${values.seconds}\``);
for (const name of values.only) {
  if (!(name in benchmarks)) throw new Error(`Expected --only to be one of ${Object.keys(benchmarks).join(', ')}, got \`${name}\``);
}

const machine = describeMachine();
console.log(
  `${machine.cpu}, ${String(machine.cores)} cores, ${machine.system}, Node ${machine.node}, load ${machine.loadBefore.toFixed(1)}`,
);
const results: BenchmarkResult[] = [];
for (const [name, measure] of Object.entries(benchmarks)) {
  if (!values.only.includes(name)) continue;
  const result = await measure({ seconds });
  results.push(result);
  console.log(format(result));
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, results }, null, 2)}\n`);
process.exitCode = results.some(({ failures }) => failures.length > 0) ? 1 : 0;
