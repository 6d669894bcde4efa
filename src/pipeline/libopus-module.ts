// The module of libopus-wasm itself, below the package's classes: these copy every packet's samples into an array of their own.
import { UndertoneError } from '../errors.ts';

/** What Emscripten made of libopus, as far as decoding needs it. Addresses and sizes are bytes, samples are by channel. */
export interface LibopusModule {
  /** Views of the memory; others after it has grown. */
  readonly HEAPU8: Uint8Array;
  readonly HEAP32: Int32Array;
  readonly HEAPF32: Float32Array;
  /** 0 where there is no memory left. */
  readonly _malloc: (bytes: number) => number;
  readonly _free: (at: number) => void;
  /** Writes libopus's error to `errorAt`. */
  readonly _oc_create_decoder: (sampleRateHz: number, channels: number, errorAt: number) => number;
  readonly _oc_destroy_decoder: (decoder: number) => void;
  /** Samples that were written, or libopus's error, below 0. Without a packet (0, 0 bytes) it conceals. */
  readonly _oc_decode_float: (
    decoder: number,
    packetAt: number,
    packetBytes: number,
    samplesAt: number,
    mostSamples: number,
    decodeFec: 0 | 1,
  ) => number;
}

const functions = ['_malloc', '_free', '_oc_create_decoder', '_oc_destroy_decoder', '_oc_decode_float'] as const;
const views = ['HEAPU8', 'HEAP32', 'HEAPF32'] as const;

let loading: Promise<LibopusModule> | undefined;

/**
 * The module of this thread. The package does not export it, so its version is pinned, and what is found is looked at. Rejects with
 * UT_CODEC_UNSUPPORTED where it is not what it was.
 */
export function loadLibopus(): Promise<LibopusModule> {
  loading ??= load();
  return loading;
}

async function load(): Promise<LibopusModule> {
  const url = new URL('generated/libopus.generated.mjs', import.meta.resolve('libopus-wasm'));
  const { default: create } = (await import(url.href)) as { readonly default: () => Promise<Partial<LibopusModule>> };
  const module = await create();
  const missing = [
    ...functions.filter((name) => typeof module[name] !== 'function'),
    ...views.filter((name) => module[name] === undefined),
  ];
  if (missing.length > 0) {
    throw new UndertoneError(
      'UT_CODEC_UNSUPPORTED',
      `Expected the module of libopus-wasm to have ${missing.join(', ')}, got another build of it`,
    );
  }
  return module as LibopusModule;
}
