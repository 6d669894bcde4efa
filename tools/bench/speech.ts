// Real speech for the benchmarks: the demo clips as the packets of one caller who speaks without a pause.
import { join } from 'node:path';
import { frontEndSpec, loadManifest, streamShape, type LoadedModel } from '../../src/models/manifest.ts';
import { OnnxSession } from '../../src/models/onnx-session.ts';
import { createDecoder } from '../../src/pipeline/codec.ts';
import { sampleRateHz, type FeatureWindow, type FrontEndSpec } from '../../src/pipeline/types.ts';
import { createCasting } from '../callers/casting.ts';
import { readRecording, samplesOf } from '../audio/recording.ts';
import { demoCast, demoDirectory, readDemoManifest } from '../callers/demo.ts';
import { callersCodec, PlainPipeline } from './plain-pipeline.ts';

const packetMs = 20;

/** RTP packets of `seconds` of speech. */
export function speechPackets(seconds: number): Uint8Array[] {
  const [member] = demoCast(readDemoManifest(), 1);
  if (member === undefined) throw new Error('Expected a cast of one, got none');
  const { participantId, clips } = member;
  const spec = { participantId, clips, remote: { ip: '', port: 0 }, ssrc: 1, payloadType: callersCodec.payloadType, seed: 1 };
  // On a floor of its own, with a talk ratio of 1, one clip follows the other.
  const { caller } = createCasting(1)(spec);
  return Array.from({ length: (seconds * 1000) / packetMs }, () => caller.next().rtp);
}

/** `seconds` of the demo's clips, one after another and again from the first, 16 kHz mono. */
export async function speechSamples(seconds: number): Promise<Float32Array> {
  const samples = new Float32Array(seconds * sampleRateHz);
  const paths = readDemoManifest().clips.map(({ file }) => join(demoDirectory, file));
  for (let at = 0, i = 0; at < samples.length; i += 1) {
    const clip = await samplesOf(await readRecording(paths[i % paths.length] ?? ''));
    samples.set(clip.subarray(0, samples.length - at), at);
    at += clip.length;
  }
  return samples;
}

/** The model that ships. */
export async function shippedModel(): Promise<LoadedModel & { readonly frontEnd: FrontEndSpec }> {
  const model = await loadManifest(join(import.meta.dirname, '../../assets/models/emonet'));
  return { ...model, frontEnd: frontEndSpec(model.manifest) };
}

/** The model's networks in this thread, as an inference thread has them; by default in 32-bit floats. */
export function mainThreadSession({ manifest, paths }: LoadedModel, headPath = paths.head): Promise<OnnxSession> {
  const networks = { trunkPath: paths.trunk, headPath, shape: streamShape(manifest) };
  return OnnxSession.open({ ...networks, executionProviders: ['cpu'], intraOpNumThreads: 1 });
}

/** `count` windows of speech, as the model gets them. */
export async function speechWindows(count: number, frontEnd: FrontEndSpec): Promise<FeatureWindow[]> {
  const decoder = createDecoder(callersCodec);
  await decoder.ready;
  const windows: FeatureWindow[] = [];
  const pipeline = new PlainPipeline(frontEnd, decoder, (output) => {
    if (output.kind === 'window') windows.push(output.window);
  });
  // Twice what windows one hop apart would need: some hops lie in pauses.
  const seconds = Math.ceil((2 * count * frontEnd.hopFrames) / 100);
  for (const [index, packet] of speechPackets(seconds).entries()) pipeline.take(packet, index * packetMs);
  decoder.close();
  if (windows.length < count) throw new Error(`Expected ${String(count)} windows, got ${String(windows.length)}`);
  return windows.slice(0, count);
}
