"""Trains the voice-activity network on what `npm run features:vad` wrote, and exports it. Seeded; some ten minutes on one core."""

import argparse
import time

import numpy as np
import torch

from vad.data import Tracks
from vad.exporting import export
from vad.fit import answers, auc, fit, recall_at
from vad.network import PAIR


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder that `npm run features:vad` wrote")
    parser.add_argument("--out", required=True, help="folder for the weights, such as assets/models/vad")
    parser.add_argument("--version", default="0.3.0")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--steps", type=int, default=600, help="pairs of frames in a stretch (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=6e-3)
    parser.add_argument("--dense", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train, validation = Tracks(options.data, "train"), Tracks(options.data, "validation")
    inputs = train.inputs.shape[1] // PAIR
    started = time.monotonic()

    def report(line):
        print(f"{time.monotonic() - started:5.0f} s  {line}", flush=True)

    network = fit(train, inputs, options.epochs, options.steps, options.batch, options.lr, options.seed, options.dense, options.hidden, report)
    figures = validate(network.eval(), validation)
    print(figures)
    pairs = sum(count for _, count in train.spans)
    trained_on = (
        f"CREMA-D, {len({name.split('#')[0] for name in train.names} - {'nobody'})} speakers of the train split; {len(train.names)} calls, "
        f"{pairs * PAIR / 360_000:.1f} h; ESC-10 folds 1 to 4, coloured noise, babble, tones; 12 rooms; Opus, G.711, loss"
    )
    export(network, options.out, options.version, trained_on, figures)


def validate(network, tracks):
    """The figures over all callers at once, and the mean over callers."""
    heard = list(answers(network, tracks))
    scores, labels = (np.concatenate(parts) for parts in zip(*heard))
    return {
        "auc": round(float(auc(scores, labels)), 4),
        "recallAt5Percent": round(recall_at(scores, labels), 4),
        "meanAucOfCallers": round(float(np.mean([auc(*each) for each in heard])), 4),
    }


if __name__ == "__main__":
    main()
