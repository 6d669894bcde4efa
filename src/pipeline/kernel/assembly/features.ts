// Log-mel and MFCC of frames of 400 samples, one after another in the signal's memory.
import { dctAt, featuresAt, foldedAt, melCountsAt, melOffsetsAt, melWeightsAt, powerAt, signalAt } from '../layout';
import { log4, sums4 } from '../../../assembly/vectors';
import { powerSpectrum } from './transform';

const hopBytes: i32 = 640;
const rowBytes: i32 = 416;

/** Writes the features of `frames` frames, the first at the signal's beginning, a hop apart. */
export function analyse(frames: i32): void {
  for (let frame: i32 = 0; frame < frames; frame += 1) {
    const row = featuresAt + frame * rowBytes;
    powerSpectrum(signalAt + frame * hopBytes);
    logMel(row);
    cepstrum(row);
  }
}

/** Moves what lies from sample `from` to sample `end` to the signal's beginning. */
export function shift(from: i32, end: i32): void {
  memory.copy(signalAt, signalAt + 4 * from, 4 * (end - from));
}

/** Four bands at a time; of what is not a number the floor is left. */
function logMel(row: i32): void {
  let weights: i32 = melWeightsAt;
  for (let group: i32 = 0; group < 16; group += 1) {
    const offsets = melOffsetsAt + 16 * group;
    let from0: i32 = powerAt + load<u32>(offsets);
    let from1: i32 = powerAt + load<u32>(offsets, 4);
    let from2: i32 = powerAt + load<u32>(offsets, 8);
    let from3: i32 = powerAt + load<u32>(offsets, 12);
    let a = f32x4.mul(v128.load(weights), v128.load(from0));
    let b = f32x4.mul(v128.load(weights, 16), v128.load(from1));
    let c = f32x4.mul(v128.load(weights, 32), v128.load(from2));
    let d = f32x4.mul(v128.load(weights, 48), v128.load(from3));
    weights += 64;
    for (let more = load<u32>(melCountsAt + 4 * group) - 1; more > 0; more -= 1) {
      from0 += 16;
      from1 += 16;
      from2 += 16;
      from3 += 16;
      a = f32x4.add(a, f32x4.mul(v128.load(weights), v128.load(from0)));
      b = f32x4.add(b, f32x4.mul(v128.load(weights, 16), v128.load(from1)));
      c = f32x4.add(c, f32x4.mul(v128.load(weights, 32), v128.load(from2)));
      d = f32x4.add(d, f32x4.mul(v128.load(weights, 48), v128.load(from3)));
      weights += 64;
    }
    const energy = f32x4.pmin(f32x4.splat(3e38), f32x4.pmax(f32x4.splat(1e-7), sums4(a, b, c, d)));
    v128.store(row + 16 * group, log4(energy));
  }
}

/** Even coefficients from the sums of mirrored bands, odd ones from their differences. */
function cepstrum(row: i32): void {
  for (let n: i32 = 0; n < 128; n += 16) {
    const low = v128.load(row + n);
    const mirrored = v128.load(row + 240 - n);
    const high = v128.shuffle<f32>(mirrored, mirrored, 3, 2, 1, 0);
    v128.store(foldedAt + n, f32x4.add(low, high));
    v128.store(foldedAt + n, f32x4.sub(low, high), 128);
  }
  let e0 = f32x4.splat(0);
  let e1 = e0;
  let e2 = e0;
  let e3 = e0;
  let e4 = e0;
  let o0 = e0;
  let o1 = e0;
  let o2 = e0;
  let o3 = e0;
  let o4 = e0;
  for (let n: i32 = 0; n < 32; n += 1) {
    const at = dctAt + 160 * n;
    const sum = v128.load32_splat(foldedAt + 4 * n);
    e0 = f32x4.add(e0, f32x4.mul(sum, v128.load(at)));
    e1 = f32x4.add(e1, f32x4.mul(sum, v128.load(at, 16)));
    e2 = f32x4.add(e2, f32x4.mul(sum, v128.load(at, 32)));
    e3 = f32x4.add(e3, f32x4.mul(sum, v128.load(at, 48)));
    e4 = f32x4.add(e4, f32x4.mul(sum, v128.load(at, 64)));
    const difference = v128.load32_splat(foldedAt + 4 * n, 128);
    o0 = f32x4.add(o0, f32x4.mul(difference, v128.load(at, 80)));
    o1 = f32x4.add(o1, f32x4.mul(difference, v128.load(at, 96)));
    o2 = f32x4.add(o2, f32x4.mul(difference, v128.load(at, 112)));
    o3 = f32x4.add(o3, f32x4.mul(difference, v128.load(at, 128)));
    o4 = f32x4.add(o4, f32x4.mul(difference, v128.load(at, 144)));
  }
  storeInterleaved(row + 256, e0, o0);
  storeInterleaved(row + 288, e1, o1);
  storeInterleaved(row + 320, e2, o2);
  storeInterleaved(row + 352, e3, o3);
  storeInterleaved(row + 384, e4, o4);
}

function storeInterleaved(to: i32, even: v128, odd: v128): void {
  v128.store(to, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
  v128.store(to, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
}
