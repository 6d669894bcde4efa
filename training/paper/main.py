"""Reproduces the paper's protocol on CREMA-D and prints it beside two protocols that keep copies, and speakers, apart."""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from paper import report
from paper.bank import Bank
from paper.corpus import read_corpus
from paper.fit import Tables, fit
from paper.network import DILATION, TwoPath, count_parameters
from paper.protocol import PAPER_CLIPS_A_CLASS, PROTOCOLS, draw_subset, share_with_copy_in_training

_IDENTITY = ("clips", "seed", "network", "protocol", "augmented", "epochs", "bfloat16", "shuffled", "code")


def main():
    options = arguments()
    clips = read_corpus(options.data)
    networks = list(DILATION) if options.network == "both" else [options.network]
    results_file = Path(options.out) / "runs.jsonl"
    done = read_results(results_file)
    runs = plan(options, networks)
    print(f"{options.data}: {len(clips)} clips of {len({clip.speaker for clip in clips})} speakers; {len(runs)} runs, "
          f"{sum(name_of(run) in done for run in runs)} of them kept in {results_file}", file=sys.stderr)
    missing = [run for run in runs if name_of(run) not in done]
    if missing:
        bank = Bank(options.cache)
        for run in missing:
            split = split_of(clips, run)
            bank.fill([*split.train, *split.validation])
        carry_out(missing, clips, bank, options.jobs, results_file, done)
    print_tables([done[name_of(run)] for run in runs], networks)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of CREMA-D: manifest.csv and its clips, or AudioWAV/*.wav")
    parser.add_argument("--network", choices=[*DILATION, "both"], default="both")
    parser.add_argument("--clips", choices=["paper", "all", "both"], default="paper", help="2,930 drawn at random, or all there are")
    parser.add_argument("--runs", type=int, default=1, help="runs with seeds SEED, SEED + 1, ...")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--shuffle-labels", action="store_true", help="the control: labels dealt out at random, nothing to be learnt")
    parser.add_argument("--bfloat16", action="store_true", help="half the time on processors that have it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side, one core each")
    parser.add_argument("--cache", default=".cache/paper", help="folder that keeps computed features")
    parser.add_argument("--out", default="training/runs/paper", help="folder of runs.jsonl: finished runs are not run again")
    options = parser.parse_args()
    for name in ("runs", "epochs", "jobs"):
        if getattr(options, name) < 1:
            parser.error(f"Expected --{name} to be a positive number, got {getattr(options, name)}")
    return options


def plan(options, networks):
    """All runs, those of the first seed first."""
    sets = ["paper", "all"] if options.clips == "both" else [options.clips]
    return [
        {"clips": clips, "seed": seed, "network": network, "protocol": protocol, "augmented": augmented,
         "epochs": options.epochs, "bfloat16": options.bfloat16, "shuffled": options.shuffle_labels, "code": code()}
        for clips in sets
        for seed in range(options.seed, options.seed + options.runs)
        for augmented in (True, False)
        for network in networks
        for protocol in PROTOCOLS
    ]


def split_of(clips, run):
    """The split depends on the seed and the protocol, not on the network: both networks see the same."""
    rng = np.random.default_rng(run["seed"])
    if run["shuffled"]:
        dealt = np.random.default_rng([run["seed"], 1]).permutation([clip.label for clip in clips])
        clips = [replace(clip, label=int(label)) for clip, label in zip(clips, dealt)]
    chosen = draw_subset(clips, rng) if run["clips"] == "paper" else clips
    if run["protocol"] == "copies first" and run["clips"] == "paper":
        return PROTOCOLS[run["protocol"]](chosen, run["augmented"], rng, PAPER_CLIPS_A_CLASS)
    return PROTOCOLS[run["protocol"]](chosen, run["augmented"], rng)


def carry_out(runs, clips, bank, jobs, results_file, done):
    results_file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    sizes = {}
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {}
        for number, run in enumerate(runs, 1):
            split = split_of(clips, run)
            tables = Tables(bank.table(split.train), labels(split.train), bank.table(split.validation), labels(split.validation))
            facts = {"trained": len(split.train), "judged": len(split.validation), "share": share_with_copy_in_training(split)}
            title = f"run {number} of {len(runs)}, {run['network']}, {run['protocol']}, {'augmented' if run['augmented'] else 'plain'}"
            future = pool.submit(work, tables, run, title)
            futures[future] = (run, facts)
            sizes[future] = len(split.train)
        for future in as_completed(futures):
            run, facts = futures[future]
            row = {**facts, **future.result(), **run}
            done[name_of(run)] = row
            with results_file.open("a") as file:
                file.write(json.dumps(row) + "\n")
            ready = sum(size for other, size in sizes.items() if other.done())
            left = (time.monotonic() - started) / ready * (sum(sizes.values()) - ready)
            print(f"accuracy {row['accuracy']:.3f}: {run}; about {left / 60:.0f} min left in all", file=sys.stderr, flush=True)


def work(tables, run, title):
    torch.set_num_threads(1)
    return fit(tables, run["network"], run["epochs"], run["seed"], run["bfloat16"], title)


def print_tables(rows, networks):
    print(f"Parameters: {count_parameters(TwoPath(13, 10, 2)):,} for 13 inputs and 10 classes (the paper's notebook: 313,354), "
          f"{count_parameters(TwoPath(141, 6, 2)):,} for 141 and 6.")
    for clips in dict.fromkeys(row["clips"] for row in rows):
        part = [row for row in rows if row["clips"] == clips]
        seeds = sorted({row["seed"] for row in part})
        title = "2,930 clips, as many as the paper had" if clips == "paper" else "all clips"
        if part[0]["shuffled"]:
            title += ", labels shuffled: nothing to be learnt, chance is 16.7"
        print(f"\n{title}; percent; {len(seeds)} run{'s' if len(seeds) > 1 else ''}\n\n{report.table(part, networks)}")


def read_results(file):
    if not file.is_file():
        return {}
    return {name_of(row): row for row in map(json.loads, file.read_text().splitlines())}


def name_of(run):
    return tuple(run[key] for key in _IDENTITY)


def code():
    """Changes with the code that decides a result, so that results of different code are never mixed."""
    folder = Path(__file__).parent
    names = ("corpus", "features", "perturb", "protocol", "network", "fit")
    return hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in names)).hexdigest()[:12]


def labels(items):
    return np.array([item.clip.label for item in items])


if __name__ == "__main__":
    main()
