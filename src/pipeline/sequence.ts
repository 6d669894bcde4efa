// Unwraps the counters of RTP, which start over at 2^16 or 2^32, to integers that do not.

/** How many values an RTP sequence number has. */
export const sequenceModulus = 2 ** 16;

/** How many values an RTP timestamp has. */
export const timestampModulus = 2 ** 32;

/**
 * The integer nearest to `reference` that is `value` modulo `modulus`: forward or back by at most half the modulus.
 * At exactly half it goes back. Exact for safe integers; the result may be negative.
 */
export function unwrapNear(value: number, reference: number, modulus: number): number {
  const ahead = (((value - reference) % modulus) + modulus) % modulus;
  return reference + (ahead >= modulus / 2 ? ahead - modulus : ahead);
}
