// The module of the package libopus-wasm, below the package's classes: these copy every packet's samples into an array of their own.
import { UndertoneError } from '../../errors.ts';
import { outOfRange, type Libopus } from './module.ts';

/** What Emscripten made of libopus. */
interface EmscriptenModule {
  readonly HEAPU8: Uint8Array;
  readonly HEAP32: Int32Array;
  readonly HEAPF32: Float32Array;
  readonly _malloc: Libopus['malloc'];
  readonly _free: Libopus['free'];
  readonly _oc_create_decoder: Libopus['createDecoder'];
  readonly _oc_destroy_decoder: Libopus['destroyDecoder'];
  readonly _oc_decode_float: Libopus['decodeFloat'];
}

const functions = ['_malloc', '_free', '_oc_create_decoder', '_oc_destroy_decoder', '_oc_decode_float'] as const;
const views = ['HEAPU8', 'HEAP32', 'HEAPF32'] as const;

let loading: Promise<Libopus> | undefined;

/**
 * The module of this thread. The package does not export it, so its version is pinned, and what is found is looked at. Rejects with
 * UT_CODEC_UNSUPPORTED where it is not what it was.
 */
export function loadLibopusWasm(): Promise<Libopus> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Libopus> {
  const url = new URL('generated/libopus.generated.mjs', import.meta.resolve('libopus-wasm'));
  const { default: create } = (await import(url.href)) as { readonly default: () => Promise<Partial<EmscriptenModule>> };
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
  return asLibopus(module as EmscriptenModule);
}

function asLibopus(module: EmscriptenModule): Libopus {
  return {
    get bytes() {
      return module.HEAPU8;
    },
    get integers() {
      return module.HEAP32;
    },
    get floats() {
      return module.HEAPF32;
    },
    malloc: module._malloc,
    free: module._free,
    createDecoder: module._oc_create_decoder,
    destroyDecoder: module._oc_destroy_decoder,
    // It does not look at them.
    decodeFloat: (...parameters) => {
      const count = module._oc_decode_float(...parameters);
      return count < 0 ? count : count | outOfRange;
    },
  };
}
