"""Averages the weights of runs that went on from the same weights with other seeds ("soup", Wortsman et al. 2022) into a run."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from undertone.data import load, split_by_speaker
from undertone.importing import assert_hears_alike
from undertone.recipe import Recipe
from undertone.trainer import Trainer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="folders of finished runs on the same speakers")
    parser.add_argument("--data", required=True, help="features that they were trained on: batch norms are measured anew on them")
    parser.add_argument("--out", required=True, help="folder of the averaged run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    speakers = [json.loads((Path(run) / "speakers.json").read_text()) for run in options.runs]
    if any(each != speakers[0] for each in speakers):
        raise SystemExit("Expected runs that were trained and tested on the same speakers, but these were not")
    states = [torch.load(Path(run) / "final.pt") for run in options.runs]
    # Nothing is learned here, so nobody teaches.
    recipe = replace(Recipe(**states[0]["recipe"]), teacher_share=0.0)
    train, _ = split_by_speaker(load(options.data), set(speakers[0]["test"]))
    for run in options.runs:
        assert_hears_alike(run, train, "--runs")
    trainer = Trainer(recipe, train, options.out, initial=averaged([state["model"] for state in states]))
    trainer.measure_norms()
    prior = {"mean": torch.from_numpy(trainer.mean), "std": torch.from_numpy(trainer.std)}
    torch.save({**states[0], **prior, "model": trainer.model.state_dict()}, Path(options.out) / "final.pt")
    (Path(options.out) / "speakers.json").write_text(json.dumps(speakers[0]) + "\n")


def averaged(states):
    """The mean of networks' states, one tensor at a time."""
    return {name: sum(state[name].double() for state in states).div(len(states)).to(value.dtype) for name, value in states[0].items()}


if __name__ == "__main__":
    main()
