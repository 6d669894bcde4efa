// How well scores tell speech from the rest.

/** Of each frame: how much a detector takes it for speech, and whether it is. */
export interface Judged {
  readonly scores: Float32Array;
  /** 1 for speech. */
  readonly labels: Uint8Array;
}

/** Area under the ROC curve: how often a frame of speech has the higher score (Mann and Whitney); ties count half. */
export function areaUnderRoc({ scores, labels }: Judged): number {
  const order = Float64Array.from(scores.keys()).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
  let [ones, rankSum] = [0, 0];
  for (let from = 0; from < order.length;) {
    let to = from;
    let own = 0;
    for (; to < order.length && scores[order[to] ?? 0] === scores[order[from] ?? 0]; to += 1) own += labels[order[to] ?? 0] ?? 0;
    ones += own;
    rankSum += (own * (from + to + 1)) / 2;
    from = to;
  }
  return (rankSum - (ones * (ones + 1)) / 2) / (ones * (scores.length - ones));
}

/** Share of the speech that is found at the threshold which takes `falseAlarms` of the rest for it. */
export function recallAt({ scores, labels }: Judged, falseAlarms: number): number {
  const rest = scores.filter((_, i) => labels[i] === 0).toSorted();
  const threshold = rest[Math.floor((1 - falseAlarms) * rest.length)] ?? Infinity;
  let [found, ones] = [0, 0];
  labels.forEach((label, i) => {
    ones += label;
    if (label === 1 && (scores[i] ?? 0) > threshold) found += 1;
  });
  return found / ones;
}

/** All of them as one. */
export function pooled(parts: readonly Judged[]): Judged {
  const count = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  const all = { scores: new Float32Array(count), labels: new Uint8Array(count) };
  let at = 0;
  for (const { scores, labels } of parts) {
    all.scores.set(scores, at);
    all.labels.set(labels, at);
    at += labels.length;
  }
  return all;
}
