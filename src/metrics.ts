// Prometheus metrics of the whole server: one registry, one place where names and units are fixed.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

const latencyBucketsMs = [5, 10, 20, 30, 50, 75, 100, 150, 200, 250, 350, 500, 750, 1000, 2000, 5000];

/** Makes the registry and every metric. No label of a metric ever names a person, a call or an emotion. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const beforeCollect = new Set<() => void>();
  return {
    registry,
    /** Called before each reading of the metrics: whoever counts elsewhere brings its counters up to date. */
    beforeCollect,
    /** Calls open on this node. */
    calls: new Gauge({ name: 'undertone_calls', help: 'Calls open on this node', registers }),
    /** Participants present on this node. */
    participants: new Gauge({ name: 'undertone_participants', help: 'Participants present on this node', registers }),
    /** Taps open: callers being measured. */
    taps: new Gauge({ name: 'undertone_taps', help: 'Callers being measured', registers }),
    /** RTP packets by fate. */
    rtpPackets: new Counter({
      name: 'undertone_rtp_packets_total',
      help: 'RTP packets by fate: received, played, lost, late, duplicate, malformed, ignored, overflow',
      labelNames: ['fate'] as const,
      collect: () => {
        for (const update of beforeCollect) update();
      },
      registers,
    }),
    /** Packets of taps that waited too long to be read. */
    tapPacketsDropped: new Counter({
      name: 'undertone_tap_packets_dropped_total',
      help: 'RTP packets that the system dropped, because the main thread did not read them in time; of their tracks they are lost',
      registers,
    }),
    /** Chunks that did not decode and were concealed. */
    decodeErrors: new Counter({
      name: 'undertone_decode_errors_total',
      help: 'Payloads that failed to decode and were concealed',
      registers,
    }),
    /** Chunks concealed, whatever the cause. */
    concealedSamples: new Counter({ name: 'undertone_concealed_samples_total', help: 'Concealed samples at 16 kHz', registers }),
    /** Lost media that the next packet's FEC held. */
    recoveredSamples: new Counter({
      name: 'undertone_recovered_samples_total',
      help: "Samples at 16 kHz of lost packets that the next packet's FEC held",
      registers,
    }),
    /** Silence that was not decoded. */
    skippedSamples: new Counter({
      name: 'undertone_skipped_samples_total',
      help: 'Samples at 16 kHz of silent packets that were not decoded',
      registers,
    }),
    /** Interarrival jitter over the open taps. */
    jitterMs: new Gauge({
      name: 'undertone_rtp_jitter_ms',
      help: 'Interarrival jitter (RFC 3550) over the open taps, ms',
      labelNames: ['of'] as const,
      registers,
    }),
    /** How long missing packets are waited for, over the open taps. */
    playoutDelayMs: new Gauge({
      name: 'undertone_playout_delay_ms',
      help: 'How long missing packets are waited for, over the open taps, ms',
      labelNames: ['of'] as const,
      registers,
    }),
    /** From packets crossing to a pipeline thread to what it made of them. */
    pipelineTurnMs: new Histogram({
      name: 'undertone_pipeline_turn_ms',
      help: 'From packets crossing to a pipeline thread to what it made of them, ms',
      buckets: latencyBucketsMs,
      registers,
    }),
    /** How busy the pipeline threads are. */
    pipelineUtilization: new Gauge({
      name: 'undertone_pipeline_utilization_ratio',
      help: 'Share of the time since the last reading that the pipeline threads were busy, 0 to 1',
      labelNames: ['of'] as const,
      registers,
    }),
    /** Pipeline threads that died and were replaced. */
    pipelineThreadDeaths: new Counter({ name: 'undertone_pipeline_thread_deaths_total', help: 'Pipeline threads that died', registers }),
    /** Windows by fate. */
    windows: new Counter({
      name: 'undertone_windows_total',
      help: 'Windows by fate: scored, superseded, expired, failed, cancelled',
      labelNames: ['fate'] as const,
      registers,
    }),
    /** Windows in a batch. */
    batchSize: new Histogram({ name: 'undertone_batch_windows', help: 'Windows in a batch', buckets: [1, 2, 4, 8, 16, 32, 64], registers }),
    /** From a window's last packet to its batch's start. */
    queueMs: new Histogram({
      name: 'undertone_queue_ms',
      help: "From a window's last packet to its batch, ms",
      buckets: latencyBucketsMs,
      registers,
    }),
    /** Run time of a batch. */
    inferenceMs: new Histogram({ name: 'undertone_inference_ms', help: 'Run time of a batch, ms', buckets: latencyBucketsMs, registers }),
    /** Inference threads by the engine in force. */
    inferenceThreads: new Gauge({
      name: 'undertone_inference_threads',
      help: 'Inference threads by the engine in force',
      labelNames: ['engine'] as const,
      registers,
    }),
    /** The hop between windows that is in force. */
    hopMs: new Gauge({ name: 'undertone_hop_ms', help: 'The hop between windows that is in force, ms', registers }),
    /** Steps by which more was left out, or less. */
    hopChanges: new Counter({
      name: 'undertone_overload_steps_total',
      help: 'Steps by which the hop widened or callers were made to wait (up), and back (down)',
      labelNames: ['direction'] as const,
      registers,
    }),
    /** Callers who wait. */
    callersWaiting: new Gauge({
      name: 'undertone_callers_waiting',
      help: 'Callers who are not measured for now, because there is more to do than the machine can',
      registers,
    }),
    /** From the arrival of a window's last packet to its event written to the timeline. */
    arrivalToEventMs: new Histogram({
      name: 'undertone_arrival_to_event_ms',
      help: "From the arrival of a window's last packet to its event, ms",
      buckets: latencyBucketsMs,
      registers,
    }),
    /** Timeline events by type. */
    events: new Counter({ name: 'undertone_events_total', help: 'Timeline events by type', labelNames: ['type'] as const, registers }),
    /** Events that never reached a timeline, by reason. */
    eventsDropped: new Counter({
      name: 'undertone_events_dropped_total',
      help: 'Events that never reached a timeline, by reason: overflow, unmeasured, ended, failed',
      labelNames: ['reason'] as const,
      registers,
    }),
    /** Timeline sockets open. */
    timelineSockets: new Gauge({ name: 'undertone_timeline_sockets', help: 'Timeline sockets open', registers }),
    /** Timeline sockets closed because their reader was too slow. */
    slowReaders: new Counter({ name: 'undertone_slow_readers_total', help: 'Sockets closed because their reader was too slow', registers }),
    /** Messages refused, by channel. */
    invalidMessages: new Counter({
      name: 'undertone_invalid_messages_total',
      help: 'Messages refused, by channel: signal, timeline, http',
      labelNames: ['channel'] as const,
      registers,
    }),
    /** mediasoup workers that died and were replaced. */
    workerDeaths: new Counter({ name: 'undertone_media_worker_deaths_total', help: 'mediasoup workers that died', registers }),
  };
}

/** The metrics of one server. */
export type Metrics = ReturnType<typeof createMetrics>;
