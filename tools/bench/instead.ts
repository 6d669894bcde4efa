// A caller who speaks, from audio to scores: ours against what one would write instead, Python over whole windows.
import { join } from 'node:path';
import { findPython } from '../../scripts/setup/python.mjs';
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { SpeechDetector } from '../../src/pipeline/speech-detector.ts';
import { WindowAssembler } from '../../src/pipeline/window-assembler.ts';
import type { FrontEndSpec } from '../../src/pipeline/types.ts';
import type { EngineWindow } from '../../src/models/types.ts';
import { streamShape } from '../../src/models/manifest.ts';
import { StreamFeed } from '../../src/models/stream-feed.ts';
import { Streams } from '../../src/models/streams.ts';
import { plainTrack } from './plain-pipeline.ts';
import type { BenchmarkResult } from './report.ts';
import { compare, type Variant } from './rounds.ts';
import { mainThreadSession, shippedModel, speechSamples } from './speech.ts';
import { startTimed, type TimedProgram } from './timed-program.ts';

const seconds = 12;
const rounds = 5;
const batchSizes = [1, 8];
const chunkSamples = 320;

/** Times both on the same speech, in batches of one and of eight callers. */
export async function measureInstead(): Promise<BenchmarkResult> {
  const model = await shippedModel();
  const shape = streamShape(model.manifest);
  const session = await mainThreadSession(model, model.paths.headInt8);
  const samples = await speechSamples(seconds);
  const variants: Variant[] = [];
  const close: (() => void)[] = [];
  for (const size of batchSizes) {
    variants.push({
      name: nameOf('ours', size),
      units: 1,
      run: async () => {
        const before = process.cpuUsage();
        const streams = new Streams(session, shape);
        const feed = new StreamFeed(shape);
        const callers = Array.from({ length: size }, (_, caller) => windowsOf(samples, model.frontEnd, `caller-${String(caller)}`));
        const count = callers[0]?.length ?? 0;
        for (let at = 0; at < count; at += 1) await streams.run(feed.pack(callers.map((windows) => windows[at] ?? noWindow())));
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1000 / size / count;
      },
    });
    const python = await startPython(samples, size);
    if (python === null) continue;
    close.push(() => {
      python.close();
    });
    variants.push({
      name: nameOf('Python', size),
      units: 1,
      run: () => python.round(),
    });
  }
  const timings = await compare(variants, rounds);
  for (const one of close) one();
  await session.close();
  const of = (what: string, size: number): number => (timings.find(({ name }) => name === nameOf(what, size))?.minUs ?? NaN) / 1000;
  const rows = batchSizes.flatMap((size) => {
    const ours = of('ours', size);
    return [
      { what: 'ours: streaming features, voice activity, EmoNet', 'callers a batch': size, 'CPU ms a window, min': ours, 'times ours': 1 },
      {
        what: "Python: librosa's features and PyTorch, whole windows",
        'callers a batch': size,
        'CPU ms a window, min': of('Python', size),
        'times ours': of('Python', size) / ours,
      },
    ];
  });
  const missing = close.length === 0 ? ' Python with PyTorch, NumPy and SciPy is not there: left out.' : '';
  const about =
    `${String(seconds)} s of speech as PCM, a window each 240 ms, CPU time of one thread, ${String(rounds)} interleaved rounds. ` +
    `Python scores windows of 2.4 s without the context before them, which is less than ours hears.${missing}`;
  return { name: 'instead', about, rows: rows.filter((row) => Number.isFinite(row['times ours'])), failures: [] };
}

/** Null where there is no Python with what training needs. */
async function startPython(samples: Float32Array, batch: number): Promise<TimedProgram | null> {
  const python = findPython();
  if (python === undefined) return null;
  const project = join(import.meta.dirname, '../..');
  const command = [python, join(project, 'tools/bench/whole_windows.py'), '{}', String(batch)];
  return startTimed(command, samples, { PYTHONPATH: join(project, 'training') });
}

/** The windows of speech that is heard chunk by chunk. */
function windowsOf(samples: Float32Array, frontEnd: FrontEndSpec, trackId: string): EngineWindow[] {
  const extractor = new FeatureExtractor({ pitch: frontEnd.pitch ?? false });
  const [detector, assembler] = [new SpeechDetector(), new WindowAssembler(plainTrack, frontEnd)];
  const windows: EngineWindow[] = [];
  for (let at = 0; at + chunkSamples <= samples.length; at += chunkSamples) {
    const chunk = { startSample: at, samples: samples.subarray(at, at + chunkSamples), concealed: false, arrivalMs: 0 };
    extractor.process(chunk, (frame) => {
      detector.process(frame, (detected) => {
        assembler.process(detected, (output) => {
          if (output.kind === 'window') windows.push({ trackId, endFrame: output.window.endFrame, blocks: output.window.blocks });
        });
      });
    });
  }
  return windows;
}

function noWindow(): never {
  throw new Error('Expected as many windows of each caller, who all say the same');
}

function nameOf(what: string, size: number): string {
  return `${what} ${String(size)}`;
}
