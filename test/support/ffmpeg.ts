// ffmpeg, Debian's: a sender of RTP that no one here wrote.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const clipFolder = fileURLToPath(new URL('../../assets/demo/', import.meta.url));

/** Writes clips of the demo, each with 0.8 s of silence after it, as one WAV at 48 kHz. @returns its path */
export function writeSpeech(folder: string, clips: readonly string[]): string {
  const path = join(folder, `${clips.join('-')}.wav`);
  const inputs = clips.flatMap((clip) => ['-i', join(clipFolder, `${clip}.opus`)]);
  const padded = clips.map((_, index) => `[${index}]aresample=48000,apad=pad_dur=0.8[c${index}]`).join(';');
  const joined = `${clips.map((_, index) => `[c${index}]`).join('')}concat=n=${clips.length}:v=0:a=1`;
  const filter = ['-filter_complex', `${padded};${joined}`];
  const result = spawnSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...inputs, ...filter, '-ac', '1', path], {
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`Expected ffmpeg to write speech: ${result.error?.message ?? result.stderr}`);
  return path;
}

/** How ffmpeg encodes and sends. */
export interface FfmpegRtp {
  readonly codec: 'opus' | 'pcmu' | 'pcma';
  readonly ptimeMs: number;
  readonly payloadType: number;
  readonly ssrc: number;
  readonly port: number;
  /** Master key and salt for AES_CM_128_HMAC_SHA1_80. */
  readonly keyBase64?: string;
}

/** Sends a file over and over, in real time, until closed. */
export class FfmpegSender {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(file: string, rtp: FfmpegRtp) {
    const { codec, ptimeMs, payloadType, ssrc, port, keyBase64 } = rtp;
    const srtp = keyBase64 === undefined ? [] : ['-srtp_out_suite', 'AES_CM_128_HMAC_SHA1_80', '-srtp_out_params', keyBase64];
    // Of G.711, ffmpeg puts as much into a packet as fits: 12 bytes of header and 8 a millisecond.
    const query = codec === 'opus' ? '' : `?pkt_size=${12 + 8 * ptimeMs}`;
    const url = `${keyBase64 === undefined ? 'rtp' : 'srtp'}://127.0.0.1:${port}${query}`;
    const input = ['-nostdin', '-loglevel', 'error', '-re', '-stream_loop', '-1', '-i', file];
    const output = ['-payload_type', String(payloadType), '-ssrc', String(ssrc), ...srtp, '-f', 'rtp', url];
    this.#child = spawn('ffmpeg', [...input, ...encoder(codec, ptimeMs), ...output], { stdio: 'ignore' });
    this.#exited = once(this.#child, 'exit');
  }

  /** Ends it. Safe twice. */
  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

function encoder(codec: FfmpegRtp['codec'], ptimeMs: number): string[] {
  if (codec === 'opus') return ['-c:a', 'libopus', '-b:a', '32k', '-ar', '48000', '-ac', '2', '-frame_duration', String(ptimeMs)];
  return ['-c:a', codec === 'pcmu' ? 'pcm_mulaw' : 'pcm_alaw', '-ar', '8000', '-ac', '1'];
}
