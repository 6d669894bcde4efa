import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../../../src/metrics.ts';
import { spawnEngineThread, ThreadEngine } from '../../../src/models/engine-thread.ts';
import { loadManifest } from '../../../src/models/manifest.ts';
import { EmotionService, type EmotionServiceParts } from '../../../src/models/service.ts';
import type { EmotionOutput } from '../../../src/models/types.ts';
import {
  FakeEngine,
  featureWindow,
  flushPromises,
  hopSamples,
  silentLogger,
  threadOf,
  tinyManifest,
  tinyModelDir,
  track,
} from './support.ts';

const opened: EmotionService[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((service) => service.close()));
});

function collect(service: EmotionService): EmotionOutput[] {
  opened.push(service);
  const outputs: EmotionOutput[] = [];
  service.outputs$.subscribe((output) => outputs.push(output));
  return outputs;
}

/** A service on the fake engine, each window a batch of its own. */
function setUp(parts: Partial<EmotionServiceParts> = {}) {
  const engine = new FakeEngine();
  let nowMs = 0;
  const service = new EmotionService({
    model: { manifest: tinyManifest, paths: { trunk: 'unused', head: 'unused', whole: 'unused' } },
    engines: [engine],
    logger: silentLogger,
    clock: { nowMs: () => nowMs },
    batching: { maxBatch: 1 },
    ...parts,
  });
  const outputs = collect(service);
  const advance = (ms: number) => {
    nowMs += ms;
  };
  return { service, engine, outputs, advance };
}

const speech = (trackId: string, state: 'start' | 'end', hop: number) => ({
  track: track(trackId),
  state,
  atSample: hop * hopSamples,
  arrivalMs: 0,
});

const brief = (outputs: readonly EmotionOutput[]) =>
  outputs.map((output) => {
    if (output.kind === 'gap') return `gap ${output.gap.track.trackId} ${output.gap.reason}`;
    if (output.kind === 'point') {
      const { track: of, endSample, label } = output.point;
      return `point ${of.trackId}/${String(endSample / hopSamples)} ${label}`;
    }
    const { track: of, points, label } = output.segment;
    return `segment ${of.trackId} of ${String(points)} ${label}`;
  });

describe('EmotionService on the real engine', () => {
  it('scores windows of several callers and gives each its points and its segment', async () => {
    const metrics = createMetrics();
    const service = await EmotionService.open({ modelDir: tinyModelDir, logger: silentLogger, metrics, batching: { maxAgeMs: 60_000 } });
    const outputs = collect(service);
    expect(service).toMatchObject({ ready: true, engineName: 'cpu', manifest: { name: 'tiny' }, frontEnd: { windowFrames: 100 } });
    const callers = ['a', 'b', 'c'];
    for (const trackId of callers) {
      service.openTrack(track(trackId));
      service.speech(speech(trackId, 'start', 0));
      service.submit(featureWindow({ trackId, hop: 1, value: 0.3, arrivalMs: performance.timeOrigin + performance.now() }));
      service.speech(speech(trackId, 'end', 1));
    }
    await Promise.all(callers.map((trackId) => service.closeTrack(trackId, { discard: false })));
    const points = outputs.flatMap((output) => (output.kind === 'point' ? [output.point] : []));
    const segments = outputs.flatMap((output) => (output.kind === 'segment' ? [output.segment] : []));
    expect(points.map((point) => point.track.trackId)).toEqual(callers);
    expect(segments.map((segment) => segment.track.trackId)).toEqual(callers);
    for (const { probabilities } of [...points, ...segments]) expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
    expect(service.trackCount).toBe(0);
    expect((await metrics.inferenceThreads.get()).values).toEqual([{ labels: { engine: 'cpu' }, value: 1 }]);
    const { values } = await metrics.windows.get();
    expect(values).toMatchObject([{ labels: { fate: 'scored' }, value: 3 }]);
  });

  it('tells of a gap when the inference thread dies, and scores again in the next', async () => {
    const model = await loadManifest(tinyModelDir);
    const workers: Worker[] = [];
    const engine = await ThreadEngine.start({
      name: 'cpu',
      thread: threadOf(model),
      logger: silentLogger,
      restartDelayMs: 1,
      spawn: (data) => {
        const worker = spawnEngineThread(data);
        workers.push(worker);
        return worker;
      },
    });
    const clock = { nowMs: () => 0 };
    const service = new EmotionService({ model, engines: [engine], logger: silentLogger, clock, batching: { maxBatch: 1 } });
    const outputs = collect(service);
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    await workers[0]?.terminate();
    expect(service.ready).toBe(false);
    service.submit(featureWindow({ hop: 1 }));
    await vi.waitFor(() => expect(service.ready).toBe(true), { timeout: 15_000, interval: 5 });
    service.submit(featureWindow({ hop: 2 }));
    await service.closeTrack('a', { discard: false });
    expect(outputs.map(({ kind }) => kind)).toEqual(['gap', 'point', 'segment']);
    expect(outputs[0]).toMatchObject({ gap: { startSample: 0, endSample: hopSamples, reason: 'engine' } });
  });

  it('is not opened without its model', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'undertone-service-'));
    try {
      await cp(tinyModelDir, dir, { recursive: true });
      await rm(join(dir, 'head.onnx'));
      await expect(EmotionService.open({ modelDir: dir, logger: silentLogger })).rejects.toMatchObject({ code: 'UT_MODEL_MISSING' });
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

describe('EmotionService', () => {
  it('says points as they come, and the segment after the last of them', async () => {
    const { service, engine, outputs } = setUp();
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1, value: 2 }));
    await engine.finish();
    service.submit(featureWindow({ hop: 2, value: 2 }));
    service.speech(speech('a', 'end', 2));
    expect(brief(outputs)).toEqual(['point a/1 fear']);
    await engine.finish();
    expect(brief(outputs)).toEqual(['point a/1 fear', 'point a/2 fear', 'segment a of 2 fear']);
  });

  it('says nothing in silence', async () => {
    const { service, engine, outputs } = setUp();
    service.openTrack(track('a'));
    service.submit(featureWindow({ hop: 1 }));
    await engine.finish();
    expect(outputs).toEqual([]);
  });

  it('keeps callers apart', async () => {
    const { service, engine, outputs } = setUp({ batching: { maxBatch: 2 } });
    for (const trackId of ['a', 'b']) {
      service.openTrack(track(trackId));
      service.speech(speech(trackId, 'start', 0));
    }
    for (let hop = 1; hop <= 5; hop += 1) {
      service.submit(featureWindow({ trackId: 'a', hop, value: 0 }));
      service.submit(featureWindow({ trackId: 'b', hop, value: 5 }));
      await engine.finish();
    }
    const labelsOf = (trackId: string) =>
      new Set(
        brief(outputs)
          .filter((line) => line.includes(` ${trackId}/`))
          .map((line) => line.split(' ')[2]),
      );
    expect([labelsOf('a'), labelsOf('b')]).toEqual([new Set(['anger']), new Set(['sadness'])]);
  });

  it('says nothing more of a track once its discarding close returned, whatever is under way', async () => {
    const { service, engine, outputs } = setUp();
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1 }));
    await engine.finish();
    service.submit(featureWindow({ hop: 2 }));
    service.submit(featureWindow({ hop: 3 }));
    outputs.length = 0;
    const closed = service.closeTrack('a', { discard: true });
    service.submit(featureWindow({ hop: 4 }));
    service.speech(speech('a', 'end', 4));
    await engine.finish();
    await engine.finish();
    await closed;
    expect(outputs).toEqual([]);
    expect(service.trackCount).toBe(0);
  });

  it('withholds also what a closing track still had to say, where consent is withdrawn meanwhile', async () => {
    const { service, engine, outputs } = setUp();
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1 }));
    const closed = service.closeTrack('a', { discard: false });
    await service.closeTrack('a', { discard: true });
    await engine.finish();
    await closed;
    expect(outputs).toEqual([]);
  });

  it('withholds the rest where a receiver withdraws the track on hearing of it', async () => {
    const { service, engine } = setUp();
    const heard: string[] = [];
    service.outputs$.subscribe((output) => {
      heard.push(output.kind);
      void service.closeTrack('a', { discard: true });
    });
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1 }));
    service.speech(speech('a', 'end', 1));
    await engine.finish();
    expect(heard).toEqual(['point']);
  });

  it('withholds the point that ends a gap where a receiver withdraws the track on hearing of the gap', async () => {
    const { service, engine } = setUp();
    const heard: string[] = [];
    service.outputs$.subscribe((output) => {
      heard.push(output.kind);
      void service.closeTrack('a', { discard: true });
    });
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1 }));
    await engine.fail();
    service.submit(featureWindow({ hop: 2 }));
    await engine.finish();
    expect(heard).toEqual(['gap']);
  });

  it('finishes what is under way where a track closes in the ordinary way', async () => {
    const { service, engine, outputs } = setUp();
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1, value: 4 }));
    service.submit(featureWindow({ hop: 2, value: 4 }));
    const closed = service.closeTrack('a', { discard: false });
    expect(service.closeTrack('a', { discard: false })).toBe(closed);
    await engine.finish();
    expect(service.trackCount).toBe(1);
    await engine.finish();
    await closed;
    expect(brief(outputs)).toEqual(['point a/1 neutral', 'point a/2 neutral', 'segment a of 2 neutral']);
    await service.closeTrack('a', { discard: false });
  });

  it('tells of a gap where the engine failed, and goes on', async () => {
    const { service, engine, outputs } = setUp();
    for (const trackId of ['a', 'b']) {
      service.openTrack(track(trackId));
      service.speech(speech(trackId, 'start', 0));
    }
    service.submit(featureWindow({ trackId: 'a', hop: 1 }));
    service.submit(featureWindow({ trackId: 'b', hop: 1 }));
    await engine.fail();
    await engine.finish();
    service.submit(featureWindow({ trackId: 'a', hop: 2 }));
    await engine.finish();
    expect(brief(outputs)).toEqual(['point b/1 anger', 'gap a engine', 'point a/2 anger']);
  });

  it('tells of a gap where windows waited too long, at the latest when the utterance ends', async () => {
    const { service, engine, outputs, advance } = setUp();
    for (const trackId of ['a', 'b']) {
      service.openTrack(track(trackId));
      service.speech(speech(trackId, 'start', 0));
    }
    service.submit(featureWindow({ trackId: 'a', hop: 1 }));
    service.submit(featureWindow({ trackId: 'b', hop: 1 }));
    advance(2001);
    await engine.finish();
    service.speech(speech('b', 'end', 1));
    expect(brief(outputs)).toEqual(['point a/1 anger', 'gap b overload']);
  });

  it('refuses a track that is open, and any once closed', async () => {
    const { service } = setUp();
    service.openTrack(track('a'));
    expect(() => service.openTrack(track('a'))).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
    await service.close();
    expect(() => service.openTrack(track('b'))).toThrow(/after the service was closed/);
  });

  it('ends every track with its segment when it closes, completes, and closes once', async () => {
    const { service, engine, outputs } = setUp();
    let completed = false;
    service.outputs$.subscribe({ complete: () => (completed = true) });
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1 }));
    const closed = service.close();
    expect(service.close()).toBe(closed);
    await engine.finish();
    await closed;
    expect(brief(outputs)).toEqual(['point a/1 anger', 'segment a of 1 anger']);
    expect([completed, service.ready, engine.ready, service.trackCount]).toEqual([true, false, false, 0]);
  });

  it('closes although the engine never answers', async () => {
    const { service, outputs } = setUp();
    service.openTrack(track('a'));
    service.speech(speech('a', 'start', 0));
    service.submit(featureWindow({ hop: 1 }));
    await service.close();
    expect(outputs).toEqual([]);
  });

  it('leaves nothing behind of a thousand tracks', async () => {
    const { service, engine, outputs } = setUp();
    engine.automatic = true;
    for (let index = 0; index < 1000; index += 1) {
      const trackId = `t${String(index)}`;
      service.openTrack(track(trackId));
      service.speech(speech(trackId, 'start', 0));
      service.submit(featureWindow({ trackId, hop: 1 }));
      const closed = service.closeTrack(trackId, { discard: index % 2 === 0 });
      await flushPromises();
      await closed;
    }
    expect(service.trackCount).toBe(0);
    expect(outputs.filter(({ kind }) => kind === 'segment')).toHaveLength(500);
    expect(new Set(engine.released).size).toBe(1000);
  });
});
