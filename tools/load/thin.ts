// Fewer samples of a long run, so that its plots stay small: neighbours become one that hides no peak.
import { partNames, type CpuParts } from './meters.ts';
import type { Sample } from './run.ts';

/** At most so many samples: of each group the latest moment, its mean load, and its highest latencies. */
export function thin(samples: readonly Sample[], most: number): Sample[] {
  const size = Math.ceil(samples.length / most);
  if (size <= 1) return [...samples];
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => joined(samples.slice(i * size, (i + 1) * size)));
}

function joined(group: readonly Sample[]): Sample {
  const last = group.at(-1);
  if (last === undefined) throw new RangeError('Expected samples to join, got none');
  const mean = (of: (sample: Sample) => number): number => group.reduce((sum, sample) => sum + of(sample), 0) / group.length;
  /** Of those that are known. */
  const highest = (of: (sample: Sample) => number): number => {
    const known = group.map(of).filter((value) => !Number.isNaN(value));
    return known.length === 0 ? NaN : Math.max(...known);
  };
  const percentiles = (of: (sample: Sample) => Sample['latencyMs']): Sample['latencyMs'] => ({
    p50: highest((sample) => of(sample).p50),
    p95: highest((sample) => of(sample).p95),
    p99: highest((sample) => of(sample).p99),
    max: highest((sample) => of(sample).max),
  });
  const cpu = (part: keyof CpuParts): number => mean(({ cpuMs }) => cpuMs?.[part] ?? 0);
  const [main = 0, pipeline = 0, inference = 0, mediasoup = 0, other = 0] = partNames.map(cpu);
  const hopMs = highest((sample) => sample.hopMs ?? NaN);
  return {
    ...last,
    events: mean(({ events }) => events),
    hopMs: Number.isNaN(hopMs) ? null : hopMs,
    waiting: mean(({ waiting }) => waiting),
    latencyMs: percentiles(({ latencyMs }) => latencyMs),
    senderLateMs: percentiles(({ senderLateMs }) => senderLateMs),
    cpuMs: last.cpuMs === null ? null : { main, pipeline, inference, mediasoup, other, total: cpu('total') },
  };
}
