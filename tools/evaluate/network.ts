// What a network does to packets: loss in bursts.
import type { Random } from '../callers/random.ts';

/**
 * Says of each packet in turn whether it is lost: the Gilbert-Elliott channel (two states, of which the bad one loses
 * all and the good one nothing) with bursts of `meanBurstPackets` on average and `lossPercent` of all packets lost in the
 * long run.
 */
export function burstLoss(lossPercent: number, random: Random, meanBurstPackets = 3): () => boolean {
  const share = lossPercent / 100;
  const toGood = 1 / meanBurstPackets;
  const toBad = (toGood * share) / (1 - share);
  let bad = false;
  return () => {
    bad = random() < (bad ? 1 - toGood : toBad);
    return bad;
  };
}
