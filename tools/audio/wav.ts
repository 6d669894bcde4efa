// Reads and writes RIFF WAVE files.

/** Decoded audio of a WAV file. */
export interface WavAudio {
  readonly sampleRateHz: number;
  /** One array of samples in [-1, 1] for each channel. */
  readonly channels: readonly Float32Array[];
}

const formatPcm = 1;
const formatFloat = 3;
const formatExtensible = 0xfffe;
const headerBytes = 44;

/** Makes a 16-bit PCM WAV file. Samples outside [-1, 1] are clipped; all channels must be of one length. */
export function writeWav({ sampleRateHz, channels }: WavAudio): Uint8Array {
  const frames = channels[0]?.length ?? 0;
  const blockBytes = 2 * channels.length;
  if (channels.length === 0 || channels.some((channel) => channel.length !== frames)) {
    throw new Error(`Expected one or more channels of one length, got lengths [${channels.map((channel) => channel.length).join(', ')}]`);
  }
  const bytes = new Uint8Array(headerBytes + frames * blockBytes);
  const view = new DataView(bytes.buffer);
  writeText(bytes, 0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  writeText(bytes, 8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, formatPcm, true);
  view.setUint16(22, channels.length, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * blockBytes, true);
  view.setUint16(32, blockBytes, true);
  view.setUint16(34, 16, true);
  writeText(bytes, 36, 'data');
  view.setUint32(40, frames * blockBytes, true);
  channels.forEach((channel, index) => {
    channel.forEach((sample, frame) => {
      view.setInt16(headerBytes + frame * blockBytes + 2 * index, Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), true);
    });
  });
  return bytes;
}

/**
 * Reads a WAV file of 8, 16, 24 or 32-bit PCM or of 32 or 64-bit float, of any number of channels. A data chunk that
 * claims to be longer than the file (a recorder that was cut off) is read as far as it goes.
 * @throws Error that says what is not as expected.
 */
export function readWav(bytes: Uint8Array): WavAudio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || textAt(bytes, 0) !== 'RIFF' || textAt(bytes, 8) !== 'WAVE') throw new Error('Expected a RIFF WAVE file');
  let format: { code: number; channelCount: number; sampleRateHz: number; bits: number } | null = null;
  for (let at = 12; at + 8 <= bytes.length;) {
    const id = textAt(bytes, at);
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (id === 'fmt ') {
      if (size < 16 || body + size > bytes.length) throw new Error(`Expected a WAV format chunk of 16 bytes or more, got ${String(size)}`);
      const code = view.getUint16(body, true);
      format = {
        // The extensible form names the code in the first two bytes of a GUID.
        code: code === formatExtensible && size >= 26 ? view.getUint16(body + 24, true) : code,
        channelCount: view.getUint16(body + 2, true),
        sampleRateHz: view.getUint32(body + 4, true),
        bits: view.getUint16(body + 14, true),
      };
    } else if (id === 'data') {
      if (format === null) throw new Error('Expected a WAV format chunk before the data');
      const { channelCount, sampleRateHz, code, bits } = format;
      const read = sampleReader(view, code, bits);
      if (channelCount === 0 || sampleRateHz === 0) throw new Error('Expected a WAV file with a sample rate and channels, got 0');
      const sampleBytes = bits / 8;
      const frames = Math.floor(Math.min(size, bytes.length - body) / (sampleBytes * channelCount));
      const channels = Array.from({ length: channelCount }, (_, channel) =>
        Float32Array.from({ length: frames }, (_, frame) => read(body + (frame * channelCount + channel) * sampleBytes)),
      );
      return { sampleRateHz, channels };
    }
    // Chunks are padded to an even length.
    at = body + size + (size % 2);
  }
  throw new Error('Expected a WAV file with a data chunk');
}

function sampleReader(view: DataView, code: number, bits: number): (at: number) => number {
  switch (`${String(code)}/${String(bits)}`) {
    case `${String(formatPcm)}/8`:
      return (at) => (view.getUint8(at) - 128) / 128;
    case `${String(formatPcm)}/16`:
      return (at) => view.getInt16(at, true) / 32768;
    case `${String(formatPcm)}/24`:
      return (at) => (view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getInt8(at + 2) << 16)) / 8388608;
    case `${String(formatPcm)}/32`:
      return (at) => view.getInt32(at, true) / 2147483648;
    case `${String(formatFloat)}/32`:
      return (at) => view.getFloat32(at, true);
    case `${String(formatFloat)}/64`:
      return (at) => view.getFloat64(at, true);
    default:
      throw new Error(
        `Expected a WAV file of 8, 16, 24, 32-bit PCM or 32, 64-bit float, got format ${String(code)} of ${String(bits)} bits`,
      );
  }
}

function writeText(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

function textAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
