// The configuration: every setting with its meaning, bounds and default. The one source of default.json and schema.json.
import { z } from 'zod';
import { logLevels } from '../src/log.ts';
import { defaultOpusLibrary } from '../src/pipeline/opus-codec.ts';
import { engineNames, precisions } from '../src/models/engine-entry.ts';
import { opusLibraries } from '../src/pipeline/opus-engine.ts';

const port = z.int().min(0).max(65_535);
const callId = z.string().regex(/^[\w.~-]{1,64}$/, 'Invalid text: expected a call id of 1 to 64 letters, digits, or . _ ~ -');

const server = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on. Beyond loopback, auth.secret is required.'),
  port: port.default(8080).describe('Port of pages, API and sockets; 0 lets the system choose.'),
});

const auth = z.strictObject({
  secret: z
    .string()
    .min(32)
    .optional()
    .describe('Secret of at least 32 characters that signs tokens. Without one, a loopback server makes one for the run.'),
});

const media = z.strictObject({
  workers: z.int().min(0).max(256).default(0).describe('mediasoup workers; 0 means one for every two cores.'),
  listenIp: z.ipv4().or(z.ipv6()).default('127.0.0.1').describe('Address on which media is received.'),
  announcedAddress: z.string().min(1).optional().describe('Address that callers are told, where it differs from listenIp (NAT).'),
  port: port.default(0).describe('UDP and TCP port of the first worker, the next ones count up; 0 lets the system choose.'),
  taps: z
    .enum(['auto', 'channel'])
    .default('auto')
    .describe(
      "How measured packets leave the workers: auto, by UDP on the loopback address (ports 62000 to 65535) where set-up compiled its reader; channel, by mediasoup's, at a third more of the main thread.",
    ),
});

const ingest = z.strictObject({
  maxIngests: z.int().min(0).max(10_000).default(64).describe('Participants by plain RTP from telephone exchanges; 0 takes none.'),
  idleTimeoutMs: z.int().min(100).max(86_400_000).default(30_000).describe('Time without a packet after which one of them leaves, ms.'),
  listenIp: z.ipv4().or(z.ipv6()).optional().describe('Address on which their RTP is received; media.listenIp if left out.'),
  announcedAddress: z.string().min(1).optional().describe('Address that exchanges are told; media.announcedAddress if left out.'),
  portMin: port.min(1024).default(61_000).describe('First UDP port for them. Each has an even one; the odd one above is for its RTCP.'),
  portMax: port.min(1024).default(61_999).describe('Last UDP port for them.'),
});

const policy = z.strictObject({
  profile: z.enum(['personal', 'call-centre', 'eu-workplace']).default('personal').describe('Who may be measured at all.'),
  purpose: z.string().min(1).max(64).default('conversation').describe('What calls on this server are for.'),
  region: z.string().min(1).max(64).default('EU').describe('Where the people in its calls are, as a country code or EU.'),
});

const model = z.strictObject({
  dir: z.string().min(1).default('assets/models/emonet').describe('Folder of the model, relative to the project.'),
  engine: z
    .enum(['auto', ...engineNames])
    .default('auto')
    .describe('Inference engine; auto takes the first that this machine can run, the CPU at last. See docs/gpu.md.'),
  threads: z.int().min(1).max(64).default(1).describe('Inference sessions, each in a thread of its own.'),
  precision: z
    .enum(precisions)
    .default('int16')
    .describe(
      'What the CPU engine computes in: int16 on a kernel of our own, where it knows the network; int8 the BiLSTM, fp32 nothing in integers, on onnxruntime. See docs/gpu.md.',
    ),
  native: z
    .boolean()
    .default(true)
    .describe(
      'Whether our own kernel uses what set-up compiled for this processor, where it did; scores are the same, in six tenths of the time, or four with AVX-512.',
    ),
});

const pipeline = z
  .strictObject({
    workers: z
      .literal('auto')
      .or(z.int().min(0).max(64))
      .default('auto')
      .describe(
        'Threads that decode callers and hear their speech; auto means one for each core but one, 8 at most. 0: the main thread does it.',
      ),
    gatherMs: z
      .number()
      .min(0)
      .max(20)
      .default(6)
      .describe(
        "From one burst of packets to the next, ms: how often those that come by UDP are read (0: each ms; half as often where a reading would bring fewer than 64), and where many come by mediasoup's channel, how long the main thread sleeps, which saves it a wake-up for each (0: never).",
      ),
    opusDecoder: z
      .enum(opusLibraries)
      .default(defaultOpusLibrary)
      .describe(
        'Build of libopus that decodes callers: libopus is our own, 1.4 with its inner loops in SIMD; libopus-wasm says the same in 1.6 times the time; opus-decoder has no FEC: what a lost packet held is then always made up.',
      ),
    minDelayMs: z
      .int()
      .min(0)
      .max(1000)
      .default(20)
      .describe('Least time that a missing packet is waited for, ms. Packets in order never wait.'),
    maxDelayMs: z.int().min(0).max(1000).default(200).describe('Most of it, ms; between the two the measured jitter decides.'),
    skipSilence: z.boolean().default(true).describe('Whether packets of a silent participant are left undecoded, but for the last 200 ms.'),
    unreliableAbove: z
      .number()
      .min(0)
      .max(1)
      .default(0.25)
      .describe('Share of lost and made-up speech above which a point or segment says that it is unreliable.'),
  })
  .refine(({ minDelayMs, maxDelayMs }) => minDelayMs <= maxDelayMs, {
    path: ['maxDelayMs'],
    error: 'Invalid delay: expected one of at least minDelayMs',
  });

const batching = z.strictObject({
  maxBatch: z.int().min(1).max(256).default(8).describe('Windows in a batch, at most.'),
  maxQueueMs: z.number().min(0).max(1000).default(10).describe('How long a window waits for its batch to fill, ms.'),
  maxAgeMs: z.number().min(50).max(60_000).default(2000).describe('Age at which a window is dropped instead of scored, ms.'),
});

const smoothing = z.strictObject({
  alpha: z.number().gt(0).max(1).default(0.35).describe('Weight of a new posterior in the moving average.'),
  switchMargin: z.number().min(0).max(1).default(0.2).describe('Lead in probability with which a class takes over at once.'),
  leadMargin: z.number().min(0).max(1).default(0.05).describe('Lead with which it takes over after switchPoints points in a row.'),
  switchPoints: z.int().min(1).max(20).default(3).describe('See leadMargin.'),
});

const overload = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether less is measured where there is more to do than the machine can.'),
  lateMs: z
    .number()
    .min(50)
    .max(5000)
    .default(300)
    .describe('Lag from which a thread does not keep up, and, beyond batching.maxQueueMs, age at which a window is scored late, ms.'),
  calmMs: z.number().min(500).max(600_000).default(5000).describe('How long it must have been calm for each step back, ms.'),
  turnMs: z.number().min(500).max(60_000).default(4000).describe('How long a caller waits at a time where a wider hop is not enough, ms.'),
});

const timeline = z.strictObject({
  store: z.enum(['memory', 'redis']).default('memory').describe('Where timelines are kept; redis joins several nodes.'),
  redisUrl: z
    .string()
    .regex(/^rediss?:\/\//, 'Invalid text: expected a redis:// or rediss:// URL')
    .default('redis://127.0.0.1:6379')
    .describe('Redis server of the store.'),
  keyPrefix: z.string().max(64).default('undertone:').describe('Prefix of every Redis key.'),
  maxEvents: z.int().min(100).max(10_000_000).default(20_000).describe('Events kept of one call.'),
  ttlSeconds: z.int().min(1).max(31_536_000).default(3600).describe('How long an ended call is kept, s.'),
});

const demo = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether simulated callers speak in a demo call.'),
  callId: callId.default('demo').describe('Id of the demo call.'),
  callers: z.int().min(1).max(32).default(4).describe('Simulated callers.'),
  talkRatio: z.number().gt(0).max(1).default(0.85).describe('Share of the time that one of them speaks; they take turns.'),
});

const log = z.strictObject({
  level: z.enum(logLevels).default('info').describe('Least severity that is logged.'),
});

/** Every section is optional and has its defaults; unknown keys are refused. */
export const configSchema = z.strictObject({
  $schema: z.string().optional().describe('Where an editor finds the JSON schema of this file.'),
  server: server.prefault({}),
  auth: auth.prefault({}),
  media: media.prefault({}),
  ingest: ingest.prefault({}),
  policy: policy.prefault({}),
  model: model.prefault({}),
  pipeline: pipeline.prefault({}),
  batching: batching.prefault({}),
  smoothing: smoothing.prefault({}),
  overload: overload.prefault({}),
  timeline: timeline.prefault({}),
  demo: demo.prefault({}),
  log: log.prefault({}),
});

/** The whole configuration, with nothing left out. */
export type Config = z.output<typeof configSchema>;

/** `config/schema.json`: what an editor checks a configuration file against. */
export function jsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: 'input' });
}

/** `config/default.json`: every default, to copy from. */
export function defaultConfig(): Config {
  return { $schema: './schema.json', ...configSchema.parse({}) };
}
