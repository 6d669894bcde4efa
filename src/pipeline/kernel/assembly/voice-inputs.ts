// Of a log-mel frame what the voice-activity network is given, and the running levels of `voice-inputs.ts`, which documents them.
import { voiceLevelsAt, voiceLogMelAt, voiceValuesAt } from '../layout';
import { sum1, sums4 } from '../../../assembly/vectors';

/** Behind the 16 floors. */
const levelAt: i32 = voiceLevelsAt + 64;
const peakAt: i32 = voiceLevelsAt + 68;
const takenAt: i32 = voiceLevelsAt + 72;
const sinceSilenceAt: i32 = voiceLevelsAt + 76;

const levelFrames: f32 = 200;
const settleFrames: f32 = 3;

/** Takes the frame; whether its bands average at least `signalNepers`. */
export function takeVoice(signalNepers: f32): bool {
  const g0 = groupMeans(voiceLogMelAt);
  const g1 = groupMeans(voiceLogMelAt + 64);
  const g2 = groupMeans(voiceLogMelAt + 128);
  const g3 = groupMeans(voiceLogMelAt + 192);
  const mean = sum1(f32x4.add(f32x4.add(g0, g1), f32x4.add(g2, g3))) * 0.0625;
  const signal = mean >= signalNepers;
  const sinceSilence: f32 = signal ? load<f32>(sinceSilenceAt) + 1 : 0;
  store<f32>(sinceSilenceAt, sinceSilence);
  if (signal) learn(mean, sinceSilence <= settleFrames, g0, g1, g2, g3);
  const level = f32x4.splat(load<f32>(levelAt));
  for (let at: i32 = 0; at < 256; at += 16) {
    v128.store(voiceValuesAt + at, limited(f32x4.sub(v128.load(voiceLogMelAt + at), level)));
  }
  v128.store(voiceValuesAt, limited(f32x4.sub(g0, v128.load(voiceLevelsAt))), 256);
  v128.store(voiceValuesAt, limited(f32x4.sub(g1, v128.load(voiceLevelsAt, 16))), 272);
  v128.store(voiceValuesAt, limited(f32x4.sub(g2, v128.load(voiceLevelsAt, 32))), 288);
  v128.store(voiceValuesAt, limited(f32x4.sub(g3, v128.load(voiceLevelsAt, 48))), 304);
  store<f32>(voiceValuesAt, f32x4.extract_lane(limited(f32x4.splat(mean - load<f32>(peakAt))), 0), 320);
  return signal;
}

function learn(mean: f32, settling: bool, g0: v128, g1: v128, g2: v128, g3: v128): void {
  let taken = load<f32>(takenAt);
  const first = taken === 0;
  // Beyond what anything depends on, it need not be counted: a float holds no number of frames of a week.
  if (!(first && settling) && taken < 65536) taken += 1;
  store<f32>(takenAt, taken);
  const level = load<f32>(levelAt);
  store<f32>(levelAt, first ? mean : level + (mean - level) / min(taken, levelFrames));
  store<f32>(peakAt, first ? mean : max(mean, load<f32>(peakAt) - 0.005));
  if (!first && settling) return;
  const rise = f32x4.splat(max<f32>(0.002, 1 / max<f32>(1, taken)));
  follow(voiceLevelsAt, g0, rise, first);
  follow(voiceLevelsAt + 16, g1, rise, first);
  follow(voiceLevelsAt + 32, g2, rise, first);
  follow(voiceLevelsAt + 48, g3, rise, first);
}

function follow(at: i32, value: v128, rise: v128, first: bool): void {
  const floor = v128.load(at);
  const above = f32x4.sub(value, floor);
  const fall = f32x4.max(f32x4.splat(-0.2), f32x4.mul(f32x4.splat(0.1), above));
  const moved = v128.bitselect(fall, f32x4.mul(rise, above), f32x4.lt(above, f32x4.splat(0)));
  v128.store(at, first ? value : f32x4.add(floor, moved));
}

function groupMeans(at: i32): v128 {
  const sums = sums4(v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48));
  return f32x4.mul(sums, f32x4.splat(0.25));
}

function limited(nepers: v128): v128 {
  return f32x4.mul(f32x4.splat(0.3), f32x4.max(f32x4.splat(-9), f32x4.min(f32x4.splat(9), nepers)));
}
