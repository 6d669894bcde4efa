// Power spectrum of a windowed frame of 400 samples: a real transform of 512 by a complex one of 256, Stockham's, radix 4.
import { firstTwiddlesAt, powerAt, realTwiddlesAt, secondTwiddlesAt, spectrumAt, thirdTwiddlesAt, windowAt, workAt } from '../layout';

/** From real to imaginary parts of the scratch. */
const im: i32 = 1024;

/** Writes four times the power of bins 1 to 255 of the frame at `signal`. */
export function powerSpectrum(signal: i32): void {
  firstPass(signal);
  secondPass();
  thirdPass();
  lastPass();
  realSpectrum();
}

function evens(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 2, 4, 6);
}

function odds(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 1, 3, 5, 7);
}

function windowed(signal: i32, at: i32): v128 {
  return f32x4.mul(v128.load(signal + at), v128.load(windowAt + at));
}

/** Real and imaginary part of a product. */
function re2(ar: v128, ai: v128, br: v128, bi: v128): v128 {
  return f32x4.sub(f32x4.mul(ar, br), f32x4.mul(ai, bi));
}

function im2(ar: v128, ai: v128, br: v128, bi: v128): v128 {
  return f32x4.add(f32x4.mul(ar, bi), f32x4.mul(ai, br));
}

function storeTransposed(to: i32, a: v128, b: v128, c: v128, d: v128): void {
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), 16);
  v128.store(to, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5), 32);
  v128.store(to, v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7), 48);
}

/** Sample pairs 64 apart; of the last 56 pairs of a quarter the frame holds none, and what lies behind it is not read. */
function firstPass(signal: i32): void {
  for (let p: i32 = 0; p < 256; p += 16) {
    const at = 2 * p;
    const a0 = windowed(signal, at);
    const a1 = windowed(signal, at + 16);
    const b0 = windowed(signal, at + 512);
    const b1 = windowed(signal, at + 528);
    const c0 = windowed(signal, at + 1024);
    const c1 = windowed(signal, at + 1040);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    if (p < 32) {
      d0 = windowed(signal, at + 1536);
      d1 = windowed(signal, at + 1552);
    }
    const ar = evens(a0, a1);
    const ai = odds(a0, a1);
    const br = evens(b0, b1);
    const bi = odds(b0, b1);
    const cr = evens(c0, c1);
    const ci = odds(c0, c1);
    const dr = evens(d0, d1);
    const di = odds(d0, d1);
    const sumAcR = f32x4.add(ar, cr);
    const sumAcI = f32x4.add(ai, ci);
    const difAcR = f32x4.sub(ar, cr);
    const difAcI = f32x4.sub(ai, ci);
    const sumBdR = f32x4.add(br, dr);
    const sumBdI = f32x4.add(bi, di);
    const difBdR = f32x4.sub(br, dr);
    const difBdI = f32x4.sub(bi, di);
    const y1r = f32x4.add(difAcR, difBdI);
    const y1i = f32x4.sub(difAcI, difBdR);
    const y2r = f32x4.sub(sumAcR, sumBdR);
    const y2i = f32x4.sub(sumAcI, sumBdI);
    const y3r = f32x4.sub(difAcR, difBdI);
    const y3i = f32x4.add(difAcI, difBdR);
    const w = firstTwiddlesAt + 6 * p;
    const w1r = v128.load(w);
    const w1i = v128.load(w, 16);
    const w2r = v128.load(w, 32);
    const w2i = v128.load(w, 48);
    const w3r = v128.load(w, 64);
    const w3i = v128.load(w, 80);
    const to = workAt + 4 * p;
    storeTransposed(to, f32x4.add(sumAcR, sumBdR), re2(y1r, y1i, w1r, w1i), re2(y2r, y2i, w2r, w2i), re2(y3r, y3i, w3r, w3i));
    storeTransposed(to + im, f32x4.add(sumAcI, sumBdI), im2(y1r, y1i, w1r, w1i), im2(y2r, y2i, w2r, w2i), im2(y3r, y3i, w3r, w3i));
  }
}

function secondPass(): void {
  for (let p: i32 = 0; p < 16; p += 1) turnedButterfly(workAt + 16 * p, spectrumAt + 64 * p, 16, secondTwiddlesAt + 24 * p);
}

function thirdPass(): void {
  for (let p: i32 = 0; p < 4; p += 1) {
    for (let q: i32 = 0; q < 64; q += 16) turnedButterfly(spectrumAt + 64 * p + q, workAt + 256 * p + q, 64, thirdTwiddlesAt + 24 * p);
  }
}

/** Four numbers each a quarter apart; the results go `step` bytes apart, turned by one angle, its double and its triple. */
function turnedButterfly(from: i32, to: i32, step: i32, twiddles: i32): void {
  const ar = v128.load(from);
  const ai = v128.load(from, 1024);
  const br = v128.load(from, 256);
  const bi = v128.load(from, 1280);
  const cr = v128.load(from, 512);
  const ci = v128.load(from, 1536);
  const dr = v128.load(from, 768);
  const di = v128.load(from, 1792);
  const sumAcR = f32x4.add(ar, cr);
  const sumAcI = f32x4.add(ai, ci);
  const difAcR = f32x4.sub(ar, cr);
  const difAcI = f32x4.sub(ai, ci);
  const sumBdR = f32x4.add(br, dr);
  const sumBdI = f32x4.add(bi, di);
  const difBdR = f32x4.sub(br, dr);
  const difBdI = f32x4.sub(bi, di);
  v128.store(to, f32x4.add(sumAcR, sumBdR));
  v128.store(to, f32x4.add(sumAcI, sumBdI), 1024);
  storeTurned(to + step, f32x4.add(difAcR, difBdI), f32x4.sub(difAcI, difBdR), twiddles);
  storeTurned(to + 2 * step, f32x4.sub(sumAcR, sumBdR), f32x4.sub(sumAcI, sumBdI), twiddles + 8);
  storeTurned(to + 3 * step, f32x4.sub(difAcR, difBdI), f32x4.add(difAcI, difBdR), twiddles + 16);
}

function storeTurned(to: i32, re: v128, imaginary: v128, twiddle: i32): void {
  const wr = v128.load32_splat(twiddle);
  const wi = v128.load32_splat(twiddle, 4);
  v128.store(to, re2(re, imaginary, wr, wi));
  v128.store(to, im2(re, imaginary, wr, wi), 1024);
}

function lastPass(): void {
  for (let q: i32 = 0; q < 256; q += 16) {
    const from = workAt + q;
    const to = spectrumAt + q;
    for (let part: i32 = 0; part < 2048; part += 1024) {
      const other = 1024 - part;
      const a = v128.load(from + part);
      const b = v128.load(from + part, 256);
      const c = v128.load(from + part, 512);
      const d = v128.load(from + part, 768);
      const turned = f32x4.sub(v128.load(from + other, 256), v128.load(from + other, 768));
      const sumAc = f32x4.add(a, c);
      const difAc = f32x4.sub(a, c);
      const sumBd = f32x4.add(b, d);
      v128.store(to + part, f32x4.add(sumAc, sumBd));
      v128.store(to + part, f32x4.sub(sumAc, sumBd), 512);
      const plus = f32x4.add(difAc, turned);
      const minus = f32x4.sub(difAc, turned);
      v128.store(to + part, part === 0 ? plus : minus, 256);
      v128.store(to + part, part === 0 ? minus : plus, 768);
    }
  }
}

function reversed(x: v128): v128 {
  return v128.shuffle<f32>(x, x, 3, 2, 1, 0);
}

/** Parts the transform of even and odd samples, which came as one complex number: bins k and 256 - k together. */
function realSpectrum(): void {
  for (let k: i32 = 4; k < 516; k += 16) {
    const low = spectrumAt + k;
    const high = spectrumAt + 1012 - k;
    const a = v128.load(low);
    const b = v128.load(low, 1024);
    const c = reversed(v128.load(high));
    const d = reversed(v128.load(high, 1024));
    const cos = v128.load(realTwiddlesAt - 4 + k);
    const sin = v128.load(realTwiddlesAt - 4 + k, 512);
    const sumR = f32x4.add(a, c);
    const difR = f32x4.sub(a, c);
    const sumI = f32x4.add(b, d);
    const difI = f32x4.sub(b, d);
    const turnedR = f32x4.sub(f32x4.mul(cos, sumI), f32x4.mul(sin, difR));
    const turnedI = f32x4.add(f32x4.mul(cos, difR), f32x4.mul(sin, sumI));
    const lowR = f32x4.add(sumR, turnedR);
    const lowI = f32x4.sub(difI, turnedI);
    const highR = f32x4.sub(sumR, turnedR);
    const highI = f32x4.add(difI, turnedI);
    v128.store(powerAt + k, f32x4.add(f32x4.mul(lowR, lowR), f32x4.mul(lowI, lowI)));
    v128.store(powerAt + 1012 - k, reversed(f32x4.add(f32x4.mul(highR, highR), f32x4.mul(highI, highI))));
  }
}
