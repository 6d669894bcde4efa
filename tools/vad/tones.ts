// Sounds that are tonal as voices are and no voices: melodies as when a call is on hold, and the tones of a telephone.
import type { Random } from '../callers/random.ts';

const sampleRateHz = 16_000;
/** Pairs of frequencies: ringing, busy and dial tones, and some of DTMF's. */
const telephone = [
  [440, 480],
  [480, 620],
  [350, 440],
  [425, 0],
  [697, 1209],
  [852, 1477],
  [941, 1336],
  [1000, 0],
] as const;

/** Samples of mean power about 1: notes of several voices each, or tones that come and go. */
export function tones(count: number, random: Random): Float32Array {
  const samples = random() < 0.7 ? melody(count, random) : signal(count, random);
  let power = 0;
  for (const sample of samples) power += sample * sample;
  const gain = power === 0 ? 0 : Math.sqrt(count / power);
  return samples.map((sample) => sample * gain);
}

function melody(count: number, random: Random): Float32Array {
  const samples = new Float32Array(count);
  const beat = Math.round(sampleRateHz * (0.12 + 0.5 * random()));
  const scale = [0, 2, 4, 5, 7, 9, 11, 12];
  const root = 40 + Math.floor(24 * random());
  const brightness = 0.4 + 0.5 * random();
  const decayS = 0.1 + 1.5 * random();
  const voices = 1 + Math.floor(4 * random());
  for (let at = 0; at < count; at += beat) {
    for (let voice = 0; voice < voices; voice += 1) {
      if (random() < 0.25) continue;
      const note = root + 12 * (voice % 3) + (scale[Math.floor(random() * scale.length)] ?? 0);
      const hz = 440 * 2 ** ((note - 69) / 12);
      const length = Math.min(count - at, Math.round(beat * (1 + 2 * random())));
      for (let partial = 1; partial <= 10 && partial * hz < 7500; partial += 1) {
        const gain = brightness ** partial;
        const step = (2 * Math.PI * hz * partial) / sampleRateHz;
        for (let i = 0; i < length; i += 1) {
          const envelope = Math.min(1, i / 160) * Math.exp(-i / (decayS * sampleRateHz)) * Math.min(1, (length - i) / 160);
          samples[at + i] = (samples[at + i] ?? 0) + gain * envelope * Math.sin(step * i);
        }
      }
    }
  }
  return samples;
}

function signal(count: number, random: Random): Float32Array {
  const [first, second] = telephone[Math.floor(random() * telephone.length)] ?? [440, 480];
  const on = Math.round(sampleRateHz * (0.1 + 1.5 * random()));
  const off = Math.round(sampleRateHz * (0.05 + 2 * random()));
  const phase = Math.floor(random() * (on + off));
  return Float32Array.from({ length: count }, (_, i) => {
    if ((i + phase) % (on + off) >= on) return 0;
    const t = (2 * Math.PI * i) / sampleRateHz;
    return Math.sin(first * t) + (second > 0 ? Math.sin(second * t) : 0);
  });
}
