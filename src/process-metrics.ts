// Metrics of the process itself, under the names that Prometheus clients share. Read when asked for: no timer, no observer.
import { Counter, Gauge, type Registry } from 'prom-client';

/** Adds the process's memory, CPU time and event-loop utilisation to a registry. */
export function addProcessMetrics(registry: Registry): void {
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
  let before = performance.eventLoopUtilization();
  const eventLoop: Gauge = new Gauge({
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'Share of the time since the last reading that the main thread was busy, 0 to 1',
    registers,
    collect: () => {
      const now = performance.eventLoopUtilization();
      eventLoop.set(performance.eventLoopUtilization(now, before).utilization);
      before = now;
    },
  });
}
