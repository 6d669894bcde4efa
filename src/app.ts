// The whole server: the only file that knows every stage. Makes the parts, joins them, and takes them down in order.
import { createServer, type Server } from 'node:http';
import { hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { systemClock } from './clock.ts';
import { messageOf } from './errors.ts';
import { observeEventLoopDelay } from './event-loop-delay.ts';
import { createTokens, resolveSecret, type Tokens } from './gateway/auth.ts';
import { Gateway } from './gateway/gateway.ts';
import type { Readiness } from './gateway/http.ts';
import { listen } from './gateway/listen.ts';
import { MemoryTimelineStore } from './gateway/memory-store.ts';
import { RedisTimelineStore } from './gateway/redis-store.ts';
import type { Logger } from './log.ts';
import { Measurement } from './measurement.ts';
import { MediaMeter } from './media-meter.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { EmotionService } from './models/service.ts';
import { Overload } from './overload/overload.ts';
import { createPipelines } from './pipeline/pipelines.ts';
import { createPolicy } from './policy/policy.ts';
import { addProcessMetrics } from './process-metrics.ts';
import { RtpIntake } from './sfu/rtp-intake.ts';
import { Sfu } from './sfu/sfu.ts';
import { createWeb } from './web.ts';

/** What {@link createApp} needs besides its configuration. */
export interface AppOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** The mediasoup worker to run. @default mediasoup's own */
  readonly workerBin?: string | undefined;
}

/** A running server. */
export interface App {
  readonly sfu: Sfu;
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  /** Whether the secret was made for this run. */
  readonly development: boolean;
  readonly engineName: string;
  readonly port: number;
  /** Ends calls, flushes their timelines, closes sockets with 1001 and frees everything. Safe to call twice. */
  close(): Promise<void>;
}

const projectDir = join(import.meta.dirname, '..');

/**
 * Starts the server. What has started is taken down again if a later part cannot start.
 * @throws UndertoneError UT_AUTH_SECRET, UT_MODEL_MISSING, UT_MODEL_INVALID, UT_ENGINE_UNAVAILABLE, UT_MEDIA_FAILED,
 * UT_STORE_FAILED, UT_SERVER_FAILED, UT_SERVER_PORT: what is missing and what to do about it.
 */
export async function createApp({ config, logger, workerBin }: AppOptions): Promise<App> {
  const closers: (() => Promise<void>)[] = [];
  const close = once(async () => {
    for (const closer of closers.splice(0).reverse()) {
      await closer().catch((error: unknown) => {
        logger.error({ reason: messageOf(error) }, 'a part did not close');
      });
    }
  });

  try {
    const { host } = config.server;
    const { secret, development } = resolveSecret({ host, secret: config.auth.secret });
    const tokens = createTokens({ secret });
    const metrics = createMetrics();
    const stopObserving = observeEventLoopDelay(metrics.registry);
    closers.push(() => {
      stopObserving();
      return Promise.resolve();
    });
    const web = await createWeb({ logger });

    const store = await openStore(config, logger);
    closers.push(() => store.close());

    // Its threads load while the model does.
    const { workers: pipelineWorkers, gatherMs, minDelayMs, maxDelayMs, ...pipeline } = config.pipeline;
    const intake = openIntake(config, logger, metrics, () => {
      pipelines.flush();
    });
    closers.push(() => {
      intake?.close();
      return Promise.resolve();
    });
    // What is read many packets at a time need not be slept for.
    const pipelines = createPipelines({ workers: pipelineWorkers, gatherMs: intake === undefined ? gatherMs : 0, logger, metrics });
    addProcessMetrics(metrics.registry, () => pipelines.pausedMs);
    closers.push(() => pipelines.close());

    const { batching, smoothing, model, overload: overloadSettings } = config;
    const lateMs = overloadSettings.lateMs + batching.maxQueueMs;
    const modelDir = isAbsolute(model.dir) ? model.dir : join(projectDir, model.dir);
    const { engine, threads, precision, native } = model;
    const scoring = { batching, smoothing, lateMs, logger, metrics };
    const emotion = await EmotionService.open({ modelDir, engine, threads, precision, native, bell: pipelines.bell, ...scoring });
    closers.push(() => emotion.close());
    await pipelines.started();

    const { workers, listenIp, announcedAddress, port } = config.media;
    const { listenIp: ingestIp, announcedAddress: ingestAddress, ...ingest } = config.ingest;
    const { profile, purpose, region } = config.policy;
    const sfu = await Sfu.create({
      decide: createPolicy({ profile }),
      verifyToken: (token) => tokens.verify(token),
      logger,
      metrics,
      callDefaults: { purpose, region },
      intake,
      ingest: {
        ...ingest,
        ...(ingestIp === undefined ? {} : { listenIp: ingestIp }),
        ...(ingestAddress === undefined ? {} : { announcedAddress: ingestAddress }),
      },
      workers: {
        listenIp,
        port,
        ...(workers === 0 ? {} : { workerCount: workers }),
        ...(announcedAddress === undefined ? {} : { announcedAddress }),
        ...(workerBin === undefined ? {} : { workerBin }),
      },
    });

    const readiness = (): Readiness => {
      const missing = [
        ...(emotion.ready ? [] : ['inference engine']),
        ...(pipelines.ready ? [] : ['pipeline threads']),
        ...(sfu.ready ? [] : ['media workers']),
        ...(store.ready ? [] : ['timeline store']),
      ];
      return { ready: missing.length === 0, missing, engine: emotion.engineName };
    };
    const staticHandler = web.handler.bind(web);
    const nodeId = `${hostname()}-${process.pid}`;
    const gateway = Gateway.create({ store, tokens, metrics, logger, nodeId, readiness, staticHandler, development, ingests: sfu.ingests });
    const openCall = gateway.openCall.bind(gateway);
    const audio = { ...pipeline, playoutDelay: { minDelayMs, maxDelayMs } };
    const meter = new MediaMeter(metrics);
    const overload = new Overload({ ...overloadSettings, emotion, pipelines, metrics, logger, clock: systemClock });
    const measurement = new Measurement({ emotion, openCall, meter, clock: systemClock, logger, audio, pipelines, overload });
    sfu.events$.subscribe((event) => {
      measurement.handle(event);
    });
    // In the order of the data: no more packets, then the last scores, then the ends of timelines and the sockets.
    closers.push(
      () => gateway.close(),
      () => measurement.close(),
      () => sfu.close(),
      () => {
        overload.close();
        return Promise.resolve();
      },
    );

    const server = createServer((request, response) => {
      gateway.handleRequest(request, response);
    });
    server.on('upgrade', (request, socket, head) => {
      const path = request.url?.split('?')[0];
      if (path === '/v1/signal') sfu.handleUpgrade(request, socket, head);
      else if (!gateway.handleUpgrade(request, socket, head)) socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    });
    const boundPort = await listen(server, config.server);
    closers.push(() => stopServing(server));
    return { sfu, tokens, metrics, development, engineName: emotion.engineName, port: boundPort, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The intake of the taps; undefined where mediasoup's channel brings their packets, and why is logged. */
function openIntake({ media, pipeline }: Config, logger: Logger, metrics: Metrics, onTaken: () => void): RtpIntake | undefined {
  if (media.taps === 'channel') return undefined;
  const opened = RtpIntake.open({ everyMs: pipeline.gatherMs, onTaken, logger, metrics });
  if (opened instanceof RtpIntake) return opened;
  logger.info({ reason: opened.reason }, "packets of taps come by the media workers' channel, for there is no reader");
  return undefined;
}

async function openStore(config: Config, logger: Logger): Promise<MemoryTimelineStore | RedisTimelineStore> {
  const { store, redisUrl, keyPrefix, maxEvents, ttlSeconds } = config.timeline;
  if (store === 'memory') return new MemoryTimelineStore({ maxEvents, ttlSeconds, logger });
  return await RedisTimelineStore.create({ url: redisUrl, keyPrefix, maxEvents, ttlSeconds, logger });
}

/** New connections are refused from now on; those that serve sockets end with them. */
function stopServing(server: Server): Promise<void> {
  server.close();
  server.closeIdleConnections();
  return Promise.resolve();
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
