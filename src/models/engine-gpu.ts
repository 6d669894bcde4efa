// The engines that run on a GPU: where each could, how it is opened, and its trial before it serves.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { UndertoneError } from '../errors.ts';
import { setNativeVariables } from '../native-environment.ts';
import { cpuSession } from './engine-cpu.ts';
import type { EngineContext, EngineEntry } from './engine-entry.ts';
import { ThreadEngine } from './engine-thread.ts';
import { findGpus, type GpuHardware } from './gpu-hardware.ts';
import { streamShape } from './manifest.ts';
import type { SessionOptions } from './open-session.ts';
import { tryEngine } from './try-engine.ts';

/** What the engines on a GPU differ in. */
interface GpuKind {
  readonly name: string;
  readonly needs: string;
  /** Whether one of these GPUs could carry it. */
  readonly suits: (gpus: GpuHardware) => boolean;
  /** What it wants a GPU of, as it follows "Expected". */
  readonly hardware: string;
  /** Throws where something that costs nothing to look for is missing. */
  readonly check?: () => void;
  readonly session: (context: EngineContext) => SessionOptions;
  readonly maxThreads?: number;
  /** For its libraries. */
  readonly variables: Readonly<Record<string, string>>;
  /** The same, where it is not pinned. */
  readonly autoVariables?: Readonly<Record<string, string>>;
}

/** Loading and the compilation of shaders take seconds on a GPU. Pinned, also a slow software driver gets its time. */
const trialTimeoutMs = { auto: 30_000, pinned: 180_000 };
const startTimeoutMs = 180_000;
/** TF32 keeps 10 bits of a product's operands: scores would be off by about 1e-3. */
const fullPrecision = { NVIDIA_TF32_OVERRIDE: '0' };

const cuda: GpuKind = {
  name: 'cuda',
  needs: "an NVIDIA GPU, CUDA 12, cuDNN 9 and onnxruntime's CUDA provider beside onnxruntime-node",
  suits: ({ nvidia }) => nvidia,
  hardware: 'an NVIDIA GPU and its driver',
  check: expectCudaProvider,
  session: onnxSession('cuda'),
  variables: fullPrecision,
};

const webgpu: GpuKind = {
  name: 'webgpu',
  needs: 'a GPU with a Vulkan 1.1 driver (Metal on macOS, Direct3D 12 on Windows)',
  suits: ({ any }) => any,
  hardware: 'a GPU',
  session: onnxSession('webgpu'),
  // All sessions of a process share one device, and two threads on it end in a crash (onnxruntime 1.30).
  maxThreads: 1,
  variables: {},
  // Of Vulkan's loader: no driver that computes on the CPU (Mesa's lavapipe, SwiftShader).
  autoVariables: { VK_LOADER_DRIVERS_DISABLE: '*lvp*,*swiftshader*' },
};

const tfjs: GpuKind = {
  name: 'tfjs-gpu',
  needs: 'the package @tensorflow/tfjs-node-gpu with an NVIDIA GPU, CUDA 11.2 and cuDNN 8.1; pinned, also @tensorflow/tfjs-node on the CPU',
  suits: ({ nvidia }) => nvidia,
  hardware: 'an NVIDIA GPU and its driver',
  session: ({ manifest, paths, pinned }) => ({
    runtime: 'tfjs',
    trunkPath: paths.trunk,
    headPath: paths.head,
    shape: streamShape(manifest),
    packages: pinned ? ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] : ['@tensorflow/tfjs-node-gpu'],
    requireGpu: !pinned,
  }),
  // One context of TensorFlow a process is what it is made for.
  maxThreads: 1,
  // Else TensorFlow takes all of the GPU's memory, and tells of its every step.
  variables: { ...fullPrecision, TF_FORCE_GPU_ALLOW_GROWTH: 'true', TF_CPP_MIN_LOG_LEVEL: '2' },
};

/** In the order in which `auto` tries them. */
export const gpuEngines: readonly EngineEntry[] = [cuda, webgpu, tfjs].map(entryOf);

/**
 * Tries it in a process of its own, once, before its threads start: a library that crashes would take the server with it.
 * Where it is not pinned it must also have a GPU, and be no slower than the CPU on a full batch.
 */
function entryOf(kind: GpuKind): EngineEntry {
  const { name, needs, maxThreads } = kind;
  return {
    name,
    needs,
    ...(maxThreads === undefined ? {} : { maxThreads }),
    prepare: async (context) => {
      const { pinned, maxBatch: batch, logger } = context;
      if (!pinned) await expectGpu(kind);
      kind.check?.();
      setNativeVariables({ ...kind.variables, ...(pinned ? {} : kind.autoVariables) });
      const timeoutMs = pinned ? trialTimeoutMs.pinned : trialTimeoutMs.auto;
      const trial = await tryEngine({ candidate: kind.session(context), reference: cpuSession(context), batch, timeoutMs });
      logger.info({ engine: name, batch, ...trial }, 'inference engine tried');
      const { candidateMs, referenceMs } = trial;
      if (pinned || candidateMs <= referenceMs) return;
      const times = `${candidateMs.toFixed(1)} ms, the CPU ${referenceMs.toFixed(1)} ms`;
      throw unavailable(`Expected a batch of ${String(batch)} to take no longer than on the CPU, got ${times}`);
    },
    create: (context) =>
      ThreadEngine.start({ name, thread: kind.session(context), logger: context.logger, bell: context.bell, startTimeoutMs }),
  };
}

async function expectGpu({ suits, hardware }: GpuKind): Promise<void> {
  const gpus = await findGpus();
  if (!suits(gpus)) throw unavailable(`Expected ${hardware}, got ${gpus.found.length === 0 ? 'none' : gpus.found.join(', ')}`);
}

function onnxSession(provider: string): GpuKind['session'] {
  return (context) => ({ ...cpuSession(context), executionProviders: [provider] });
}

/** npm's package has no room for it. */
function expectCudaProvider(): void {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  const path = join(dirname(main), '../bin/napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so');
  if (!existsSync(path)) throw unavailable("Expected onnxruntime's CUDA provider to be installed, got none");
}

function unavailable(message: string): UndertoneError {
  return new UndertoneError('UT_ENGINE_UNAVAILABLE', message);
}
