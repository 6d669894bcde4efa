// The pitch of frames, which `pitch.ts` documents: low-passed, at a quarter of the rate, correlated with itself at 64 lags.
import {
  correlationsAt,
  energiesAt,
  lagBandsAt,
  lagCostsAt,
  lowPassAt,
  lowRateAt,
  pitchAt,
  pitchStateAt,
  productsAt,
  signalAt,
} from '../layout';
import { log4, sum1, sums4 } from '../../../assembly/vectors';

const hopBytes: i32 = 640;
/** Of the low rate: a frame's new samples, those before them that the longest lag needs, and the longest lag itself. */
const newBytes: i32 = 160;
const beforeBytes: i32 = 632;
const longestBytes: i32 = 280;
/** Of the shortest lag, 7 samples. */
const shortestBytes: i32 = 28;
const spanBytes: i32 = 512;
const bands: i32 = 24;
/** Bytes of a frame's pitch, and of the three numbers before its bands. */
const rowBytes: i32 = 108;
const trackBytes: i32 = 12;
/** Half lags at which a period may be, from 8.5 to 68 samples. */
const lastHalfLag: i32 = 4 * 120;
const voicedFrom: f32 = 0.5;
/** Octaves beyond which the voice did not glide but jumped. */
const greatestGlide: f32 = 0.4;
/** Of a frame without voice, in place of its pitch. */
const unvoiced: f32 = -10;
/** Samples of the signal at which the filter of a frame's first new sample begins. */
const filterFrom: i32 = 4 * 177;

/** Writes the pitch bands of `frames` frames, the first at the signal's beginning, a hop apart. */
export function correlate(frames: i32): void {
  for (let frame: i32 = 0; frame < frames; frame += 1) {
    lowPass(signalAt + frame * hopBytes + filterFrom, lowRateAt + beforeBytes + frame * newBytes);
    const from = lowRateAt + frame * newBytes;
    products(from);
    const own = energies(from);
    correlations(own);
    const row = pitchAt + frame * rowBytes;
    track(row);
    greatest(row + trackBytes);
  }
}

/** Moves what the next frames need of `frames` frames to the beginning. */
export function shiftLowRate(frames: i32): void {
  memory.copy(lowRateAt, lowRateAt + frames * newBytes, beforeBytes);
}

/** Every fourth sample of the filtered signal, 40 in all; what is not a number, or beyond 8, is limited. */
function lowPass(from: i32, to: i32): void {
  for (let output: i32 = 0; output < newBytes; output += 16) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    const signal = from + 4 * output;
    for (let tap: i32 = 0; tap < 256; tap += 16) {
      const weight = v128.load(lowPassAt + tap);
      a = f32x4.add(a, f32x4.mul(weight, v128.load(signal + tap)));
      b = f32x4.add(b, f32x4.mul(weight, v128.load(signal + tap, 16)));
      c = f32x4.add(c, f32x4.mul(weight, v128.load(signal + tap, 32)));
      d = f32x4.add(d, f32x4.mul(weight, v128.load(signal + tap, 48)));
    }
    v128.store(to + output, f32x4.pmin(f32x4.splat(8), f32x4.pmax(f32x4.splat(-8), sums4(a, b, c, d))));
  }
}

/** Of the newest 128 samples and those 7 to 70 before, eight lags at a time: fewer sums would wait for themselves. */
function products(from: i32): void {
  const newest = from + longestBytes;
  for (let lag: i32 = 0; lag < 256; lag += 32) {
    const other = newest - shortestBytes - lag;
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    let e = a;
    let f = a;
    let g = a;
    let h = a;
    for (let at: i32 = 0; at < spanBytes; at += 16) {
      const own = v128.load(newest + at);
      const then = other + at - 28;
      a = f32x4.add(a, f32x4.mul(own, v128.load(then, 28)));
      b = f32x4.add(b, f32x4.mul(own, v128.load(then, 24)));
      c = f32x4.add(c, f32x4.mul(own, v128.load(then, 20)));
      d = f32x4.add(d, f32x4.mul(own, v128.load(then, 16)));
      e = f32x4.add(e, f32x4.mul(own, v128.load(then, 12)));
      f = f32x4.add(f, f32x4.mul(own, v128.load(then, 8)));
      g = f32x4.add(g, f32x4.mul(own, v128.load(then, 4)));
      h = f32x4.add(h, f32x4.mul(own, v128.load(then)));
    }
    v128.store(productsAt + lag, sums4(a, b, c, d));
    v128.store(productsAt + lag, sums4(e, f, g, h), 16);
  }
}

/** Of the 128 samples 7 to 70 before the newest, each from the one before; of the newest ones it is what is returned. */
function energies(from: i32): f32 {
  const newest = from + longestBytes;
  const first = newest - shortestBytes;
  const energy = energyOf(first);
  store<f32>(energiesAt, energy);
  let last = f32x4.splat(energy);
  for (let lag: i32 = 4; lag < 244; lag += 16) {
    last = nextEnergies(first - lag - 12, last);
    v128.store(energiesAt + lag, last);
    last = v128.shuffle<f32>(last, last, 3, 3, 3, 3);
  }
  // Of the last three lags: a fourth would be written where other numbers are.
  last = nextEnergies(first - 256, last);
  v128.store64_lane(energiesAt + 244, last, 0);
  store<f32>(energiesAt + 252, f32x4.extract_lane(last, 2));
  return energyOf(newest);
}

/** Four energies after `last`: what comes in, the latest at `at`, less what goes out, added up. */
function nextEnergies(at: i32, last: v128): v128 {
  const none = f32x4.splat(0);
  const comes = v128.load(at);
  const goes = v128.load(at + spanBytes);
  const change = f32x4.sub(f32x4.mul(comes, comes), f32x4.mul(goes, goes));
  const pairs = f32x4.add(v128.shuffle<f32>(change, change, 3, 2, 1, 0), v128.shuffle<f32>(none, change, 0, 7, 6, 5));
  return f32x4.add(last, f32x4.add(pairs, v128.shuffle<f32>(none, pairs, 0, 1, 4, 5)));
}

function energyOf(from: i32): f32 {
  let sum = f32x4.splat(0);
  for (let at: i32 = 0; at < spanBytes; at += 16) {
    const own = v128.load(from + at);
    sum = f32x4.add(sum, f32x4.mul(own, own));
  }
  return sum1(sum);
}

/** Products to correlations, and at the half lags between them by a polynomial of the third degree. */
function correlations(own: f32): void {
  for (let lag: i32 = 0; lag < 256; lag += 16) {
    // One that was worked out from another can lie a little below nothing.
    const other = f32x4.pmax(f32x4.splat(0), v128.load(energiesAt + lag));
    const energy = f32x4.add(f32x4.mul(f32x4.splat(own), other), f32x4.splat(1e-8));
    v128.store(productsAt + lag, f32x4.div(v128.load(productsAt + lag), f32x4.sqrt(energy)));
  }
  for (let lag: i32 = 0; lag < 256; lag += 16) {
    const at = productsAt + lag;
    const whole = v128.load(at, 4);
    const near = f32x4.add(whole, v128.load(at, 8));
    const far = f32x4.add(v128.load(at), v128.load(at, 12));
    const half = f32x4.sub(f32x4.mul(f32x4.splat(0.5625), near), f32x4.mul(f32x4.splat(0.0625), far));
    const to = correlationsAt + 2 * lag;
    v128.store(to, v128.shuffle<f32>(whole, half, 0, 4, 1, 5));
    v128.store(to, v128.shuffle<f32>(whole, half, 2, 6, 3, 7), 16);
  }
}

/** Pitch in octaves from 150 Hz, kept where there is no voice; how voiced; and five times how far the pitch rose within 20 ms. */
function track(to: i32): void {
  const best = period();
  const voicing: f32 = best === 0 ? 0 : max<f32>(0, load<f32>(correlationsAt + best));
  const before = load<f32>(pitchStateAt);
  const earlier = load<f32>(pitchStateAt, 4);
  const own: f32 = voicing > voicedFrom ? pitchAtLag(best) : unvoiced;
  const held: f32 = own === unvoiced ? before : steadied(own, load<f32>(pitchStateAt, 8), load<f32>(pitchStateAt, 12));
  store<f32>(pitchStateAt, load<f32>(pitchStateAt, 8), 12);
  store<f32>(pitchStateAt, own, 8);
  store<f32>(pitchStateAt, before, 4);
  store<f32>(pitchStateAt, held);
  const glide = held - earlier;
  store<f32>(to, held);
  store<f32>(to, voicing, 4);
  store<f32>(to, abs<f32>(glide) > greatestGlide ? 0 : 5 * glide, 8);
}

/** The half lag, in bytes, whose correlation is a peak and greatest less its cost: of those alike the shortest; 0 where there is none. */
function period(): i32 {
  let mosts = f32x4.splat(-2);
  let bests = i32x4.splat(0);
  let here = i32x4(4, 8, 12, 16);
  for (let at: i32 = 4; at <= lastHalfLag; at += 16) {
    const own = v128.load(correlationsAt + at);
    const isPeak = v128.and(f32x4.ge(own, v128.load(correlationsAt + at - 4)), f32x4.ge(own, v128.load(correlationsAt + at + 4)));
    const score = f32x4.sub(own, v128.load(lagCostsAt + at));
    const better = v128.and(isPeak, f32x4.gt(score, mosts));
    mosts = v128.bitselect(score, mosts, better);
    bests = v128.bitselect(here, bests, better);
    here = i32x4.add(here, i32x4.splat(16));
  }
  let best = i32x4.extract_lane(bests, 0);
  let most = f32x4.extract_lane(mosts, 0);
  for (let lane: i32 = 1; lane < 4; lane += 1) {
    mosts = v128.shuffle<f32>(mosts, mosts, 1, 2, 3, 0);
    bests = v128.shuffle<i32>(bests, bests, 1, 2, 3, 0);
    const score = f32x4.extract_lane(mosts, 0);
    const at = i32x4.extract_lane(bests, 0);
    if (score > most || (score === most && at < best)) {
      best = at;
      most = score;
    }
  }
  return best;
}

/** Octaves from 150 Hz, of the vertex of the parabola through a correlation and its neighbours. */
function pitchAtLag(at: i32): f32 {
  const low = load<f32>(correlationsAt + at - 4);
  const own = load<f32>(correlationsAt + at);
  const high = load<f32>(correlationsAt + at + 4);
  const bend = low - 2 * own + high;
  const aside: f32 = bend < 0 ? (0.5 * (low - high)) / bend : 0;
  const lag: f32 = 8 + 0.5 * (f32(at >> 2) + aside);
  return (3.2834144 - f32x4.extract_lane(log4(f32x4.splat(lag)), 0)) * 1.44269504;
}

/** With the frames just before, as far as they are voiced: the median of three, the mean of two. */
function steadied(own: f32, last: f32, secondLast: f32): f32 {
  if (last === unvoiced) return own;
  if (secondLast === unvoiced) return 0.5 * (own + last);
  return max<f32>(min<f32>(own, last), min<f32>(max<f32>(own, last), secondLast));
}

/** The greatest correlation in each band of lags. */
function greatest(to: i32): void {
  for (let band: i32 = 0; band < 4 * bands; band += 4) {
    let at: i32 = correlationsAt + load<u32>(lagBandsAt + 2 * band);
    const end: i32 = correlationsAt + load<u32>(lagBandsAt + 2 * band, 4);
    let most = load<f32>(at);
    for (at += 4; at < end; at += 4) most = max<f32>(most, load<f32>(at));
    store<f32>(to + band, most);
  }
}
