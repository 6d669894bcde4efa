// Metrics of the process itself and its media workers, the common ones under the names that Prometheus clients share. Read when asked for.
import { Counter, Gauge, type Registry } from 'prom-client';
import { createBusyShare } from './busy-share.ts';
import { readCpuSeconds, readMediaWorkersBytes } from './cpu-usage.ts';

/**
 * Adds the process's memory, its CPU time as a whole and by part, and its event-loop utilisation to a registry.
 *
 * @param pausedMs how long the main thread has slept on purpose since the beginning, ms. @default never
 */
export function addProcessMetrics(registry: Registry, pausedMs = (): number => 0): void {
  const registers = [registry];
  const memory: readonly [name: string, help: string, read: (usage: NodeJS.MemoryUsage) => number][] = [
    ['process_resident_memory_bytes', 'Resident memory, bytes', ({ rss }) => rss],
    ['nodejs_heap_size_total_bytes', 'Heap of the main thread, bytes', ({ heapTotal }) => heapTotal],
    ['nodejs_heap_size_used_bytes', 'Used heap of the main thread, bytes', ({ heapUsed }) => heapUsed],
    [
      'nodejs_external_memory_bytes',
      'Memory outside of the heap, bytes; WebAssembly counts with all that it reserved',
      ({ external }) => external,
    ],
  ];
  for (const [name, help, read] of memory) {
    const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(read(process.memoryUsage())) });
  }
  const cpu: Counter = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of all threads, s',
    registers,
    collect: () => {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
    },
  });
  if (process.platform === 'linux') addPartMetrics(registers);
  const readBusyShare = createBusyShare(pausedMs);
  const eventLoop: Gauge = new Gauge({
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'Share of the time since the last reading that the main thread was busy, 0 to 1',
    registers,
    collect: () => {
      eventLoop.set(readBusyShare());
    },
  });
}

/** What only Linux tells: who of the process's threads and children took the CPU. */
function addPartMetrics(registers: Registry[]): void {
  const cpu: Counter<'part'> = new Counter<'part'>({
    name: 'undertone_cpu_seconds_total',
    help: 'CPU time by part, of the threads and media workers that live, s: main, pipeline, inference, mediasoup, other',
    labelNames: ['part'] as const,
    registers,
    collect: () => {
      const { callers, helpers, ...parts } = readCpuSeconds(process.pid);
      cpu.reset();
      for (const [part, seconds] of Object.entries({ ...parts, other: callers + helpers })) cpu.inc({ part }, seconds);
    },
  });
  const memory: Gauge = new Gauge({
    name: 'undertone_media_workers_resident_bytes',
    help: 'Resident memory of the media workers, bytes',
    registers,
    collect: () => memory.set(readMediaWorkersBytes(process.pid)),
  });
}
