// What a receiver makes of lost packets: what the server does, or less, to compare with.
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';

/** `fec` is the server's own way: FEC where there is any, concealment otherwise. */
export const concealments = ['fec', 'plc', 'silence'] as const;

/** What is made of lost packets. */
export type Concealment = (typeof concealments)[number];

/** A decoder that fills lost media in that way; its state goes on as the library's concealment leaves it. */
export function concealing(decoder: AudioDecoder, how: Concealment): AudioDecoder {
  switch (how) {
    case 'fec':
      return decoder;
    case 'plc':
      return { ...decoder, fecSamples: () => 0 };
    case 'silence':
      return { ...decoder, fecSamples: () => 0, conceal: (sampleCount) => decoder.conceal(sampleCount).fill(0) };
  }
}
