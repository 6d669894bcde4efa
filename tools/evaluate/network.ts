// What a network does to packets: loss, in bursts or one by one.
import type { Random } from '../callers/random.ts';

/**
 * Says of each packet in turn whether it is lost: the Gilbert-Elliott channel (two states, of which the bad one loses
 * all and the good one nothing) with bursts of `meanBurstPackets` on average and `lossPercent` of all packets lost in the
 * long run. Bursts of 1 are independent losses, two of which may follow one another all the same.
 */
export function burstLoss(lossPercent: number, random: Random, meanBurstPackets = 3): () => boolean {
  const share = lossPercent / 100;
  if (meanBurstPackets === 1) return () => random() < share;
  const toGood = 1 / meanBurstPackets;
  const toBad = (toGood * share) / (1 - share);
  let bad = false;
  return () => {
    bad = random() < (bad ? 1 - toGood : toBad);
    return bad;
  };
}
