// What a caller's front end costs where many callers take turns, a packet each: as in a server, nothing stays in the nearest caches.
import { AudioReceiver } from '../../src/pipeline/audio-receiver.ts';
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';
import { createDecoder } from '../../src/pipeline/codec.ts';
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import { SpeechDetector } from '../../src/pipeline/speech-detector.ts';
import type { FrontEndSpec, PcmChunk, RtpPacket } from '../../src/pipeline/types.ts';
import { callersCodec, PlainPipeline } from './plain-pipeline.ts';
import type { BenchmarkResult } from './report.ts';
import { compare } from './rounds.ts';
import { shippedModel, speechPackets } from './speech.ts';

const callers = 200;
/** Callers do not say the same at the same time: each is so many packets behind the one before. */
const lagPackets = 7;
/** Packets of a caller in a round. */
const roundPackets = 25;
const packetMs = 20;
const seconds = 40;
const rounds = 20;

/** One caller's stages up to some stage: takes the packet that came. */
type Take = (packet: RtpPacket) => void;

/** How far packets go; the cost of a stage is what it adds to those before it. */
const depths: readonly (readonly [string, (decoder: AudioDecoder, spec: FrontEndSpec) => Take])[] = [
  ['packet to samples', samplesOnly],
  ['packet to features', features],
  ['packet to features and voice activity', speech],
  ['whole front end, plain calls', whole],
];

/** Times the front ends of `callers` callers in one thread, to each depth. */
export async function measureTurns(): Promise<BenchmarkResult> {
  const { frontEnd } = await shippedModel();
  const raw = speechPackets(seconds);
  const decoders = Array.from({ length: callers * depths.length }, () => createDecoder(callersCodec));
  await Promise.all(decoders.map(({ ready }) => ready));
  const variants = depths.map(([name, create], depth) => {
    const own = decoders.slice(depth * callers, (depth + 1) * callers);
    const takes = own.map((decoder) => create(decoder, frontEnd));
    const sent = takes.map((_, caller) => caller * lagPackets);
    let incoming: RtpPacket[][] = [];
    return {
      name,
      units: callers * roundPackets,
      prepare: () => {
        incoming = Array.from({ length: roundPackets }, () => takes.map((_, caller) => nextPacket(raw, sent, caller)));
      },
      run: () => {
        for (const packets of incoming) packets.forEach((packet, caller) => takes[caller]?.(packet));
      },
    };
  });
  const timings = await compare(variants, rounds);
  for (const decoder of decoders) decoder.close();
  const rows = timings.map(({ name, minUs, medianUs }, i) => ({
    'way of a packet': name,
    'min us': minUs,
    'median us': medianUs,
    'adds, us': minUs - (timings[i - 1]?.minUs ?? 0),
    'callers a core': i === timings.length - 1 ? Math.floor((packetMs * 1000) / medianUs) : '',
  }));
  const about = `One thread, ${String(callers)} callers who take turns packet by packet, ${String(rounds)} interleaved rounds of ${String(roundPackets)} packets each. Each row goes a stage further than the one above.`;
  return { name: 'turns', about, rows, failures: [] };
}

/** The next packet of a caller, of whose speech there is no end. */
function nextPacket(raw: readonly Uint8Array[], sent: number[], caller: number): RtpPacket {
  const count = sent[caller] ?? 0;
  sent[caller] = count + 1;
  const data = raw[count % raw.length] ?? new Uint8Array();
  const packet = parseRtp({ data, arrivalMs: count * packetMs });
  if (typeof packet === 'string') throw new Error(`Expected RTP, got a packet with a fault: ${packet}`);
  // Counters go on where the speech begins again.
  const sequenceNumber = count % 65_536;
  return { ...packet, sequenceNumber, timestamp: count * 960, payload: packet.payload.slice() };
}

function samplesOnly(decoder: AudioDecoder): Take {
  return receive(decoder, () => undefined);
}

function features(decoder: AudioDecoder, { pitch = false }: FrontEndSpec): Take {
  const extractor = new FeatureExtractor({ pitch });
  return receive(decoder, (chunk) => {
    extractor.process(chunk, () => undefined);
  });
}

function speech(decoder: AudioDecoder, { pitch = false }: FrontEndSpec): Take {
  const extractor = new FeatureExtractor({ pitch });
  const detector = new SpeechDetector();
  return receive(decoder, (chunk) => {
    extractor.process(chunk, (frame) => {
      detector.process(frame, () => undefined);
    });
  });
}

function receive(decoder: AudioDecoder, hear: (chunk: PcmChunk) => void): Take {
  const receiver = new AudioReceiver({ codec: callersCodec, decoder });
  return (packet) => {
    receiver.process(packet, hear);
  };
}

function whole(decoder: AudioDecoder, spec: FrontEndSpec): Take {
  const pipeline = new PlainPipeline(spec, decoder, () => undefined);
  return (packet) => {
    pipeline.takePacket(packet);
  };
}
