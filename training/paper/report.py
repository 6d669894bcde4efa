"""Prints the paper's figures beside those of the three protocols."""

import statistics

from .protocol import PROTOCOLS

NAMES = {"emotech": "EmoTech", "emonet": "EmoNet"}
PAPER = {
    ("emotech", False, "accuracy"): 49,
    ("emonet", False, "accuracy"): 49,
    ("emotech", True, "accuracy"): 83,
    ("emonet", True, "accuracy"): 86,
    ("emotech", True, "macroF1"): 82,
    ("emonet", True, "macroF1"): 86,
}
HEADINGS = {
    "copies first": "copied, then split at random (the paper's order)",
    "split first": "split at random, then copied",
    "by speaker": "split by speaker, then copied",
}


def table(results, networks):
    """Markdown. Cells are percent: the mean over the runs and, from two runs on, the standard deviation."""
    lines = ["| | paper | " + " | ".join(HEADINGS[name] for name in PROTOCOLS) + " |", "|---|" + "---|" * (1 + len(PROTOCOLS))]
    for measure, title in (("accuracy", "accuracy"), ("macroF1", "macro-F1")):
        for augmented in (False, True):
            for network in networks:
                paper = PAPER.get((network, augmented, measure), "")
                cells = [_cell(_of(results, network, augmented, name), measure) for name in PROTOCOLS]
                stage = "after" if augmented else "before"
                lines.append(f"| {NAMES[network]}, {title} {stage} augmentation | {paper} | " + " | ".join(cells) + " |")
    for augmented in (False, True):
        stage = "after" if augmented else "before"
        cells = [_cell(_of(results, networks[0], augmented, name), "share") for name in PROTOCOLS]  # the same for both networks
        lines.append(f"| judged clips with a copy in training, {stage} augmentation | | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _of(results, network, augmented, protocol):
    wanted = (network, augmented, protocol)
    return [row for row in results if (row["network"], row["augmented"], row["protocol"]) == wanted]


def _cell(rows, measure):
    values = [100 * row[measure] for row in rows]
    if not values:
        return "not run"
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"
