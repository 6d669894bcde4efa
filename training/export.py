"""Calibrates trained weights (temperatures, and a bias for each class) and exports them: ONNX graphs, manifest, parity fixture; prints the figures."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from undertone.data import LABELS, load, split_by_speaker
from undertone.exporting import settled, write_graphs, write_int8, write_manifest, write_parity
from undertone.importing import assert_hears_alike
from undertone.recipe import Recipe
from undertone.report import calibrated, figures
from undertone.score import score


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="folder of a finished run: final.pt and speakers.json")
    parser.add_argument("--data", required=True, help="features of the corpus that it was trained on; its unseen speakers calibrate")
    parser.add_argument("--copies", help="features with copies of the unseen speakers (exported with --augment-all), which then calibrate too")
    parser.add_argument("--other", help="features of another corpus, to be evaluated on only")
    parser.add_argument("--apart", help="folder in which each unseen speaker gets a model that was calibrated without them, for `npm run evaluate -- --folds`")
    parser.add_argument("--out", required=True, help="folder of the model, such as assets/models/emonet")
    parser.add_argument("--version", required=True)
    options = parser.parse_args()

    run, out = Path(options.run), Path(options.out)
    state = torch.load(run / "final.pt")
    speakers = json.loads((run / "speakers.json").read_text())
    model = Recipe(**state["recipe"]).network()
    model.load_state_dict(state["model"])
    model.eval()
    mean, std = state["mean"].numpy(), state["std"].numpy()
    _, unseen = split_by_speaker(load(options.data), speakers["test"])
    heard = [unseen, *([copies_of(unseen, load(options.copies))] if options.copies else [])]
    other = [load(options.other)] if options.other else []
    for clips in [*heard, *other]:
        assert_hears_alike(run, clips, "--run")
    scored = [(clips.labels, *score(model, clips, mean, std)) for clips in heard]
    calibration = calibrated(*together(scored), biased=True)
    biases = dict(zip(LABELS, calibration.bias.round(4).tolist()))
    settled_model, calibration = settled(model, calibration)
    # As they were exported, to make the fixture of test/golden/live with.
    torch.save({**state, "model": settled_model.state_dict()}, run / "exported.pt")
    trained_on = f"CREMA-D, {len(speakers['train'])} actors; calibrated on {len(speakers['test'])} others"
    write(settled_model, unseen, mean, std, calibration, options.version, trained_on, speakers, out)
    if options.apart:
        for number, speaker in enumerate(sorted(set(unseen.speakers))):
            others = together([where(each, clips.speakers != speaker) for each, clips in zip(scored, heard)])
            known = {"train": sorted({*speakers["train"], *unseen.speakers} - {speaker}), "test": [speaker]}
            folder = Path(options.apart) / f"fold-{number}"
            apart, left = settled(model, calibrated(*others, biased=True))
            write(apart, unseen, mean, std, left, options.version, f"{trained_on}, without {speaker}", known, folder)

    report = {
        "recipe": state["recipe"], "parameters": sum(p.numel() for p in model.parameters()),
        "temperatures": calibration[:2], "bias": biases,
    }
    for name, clips in {"unseen": unseen, **dict(zip(["other"], other))}.items():
        clips = clips.where(clips.copies == 0)
        for independent in (False, True):
            own = score(settled_model, clips, mean, std, independent=independent)
            report[f"{name}{', each clip a new caller' if independent else ''}"] = figures(clips, *own, calibration)
    print(json.dumps(report, indent=1))


def write(model, unseen, mean, std, calibration, version, trained_on, speakers, out):
    """All files of a model's folder."""
    out.mkdir(parents=True, exist_ok=True)
    files = write_graphs(model, out)
    int8 = write_int8(model, unseen, mean, std, out)
    if not int8:
        print("The Python package onnx is not there: the model gets no head in 8-bit integers", file=sys.stderr)
    write_parity(model, unseen, mean, std, out)
    write_manifest(model, files | int8, mean, std, unseen.cepstra, calibration, version, trained_on, out)
    (out / "speakers.json").write_text(json.dumps(speakers) + "\n")


def copies_of(unseen, clips):
    """The copies of the unseen speakers' clips."""
    return clips.where((clips.copies > 0) & np.isin(clips.speakers, unseen.speakers))


def where(scored, keep):
    """Of the clips of a scored set those that are to be kept."""
    labels, logits, owners, weights = scored
    rows = keep[owners]
    return labels[keep], logits[rows], (np.cumsum(keep) - 1)[owners[rows]], weights[rows]


def together(sets):
    """(labels, logits, owners, weights) of several scored sets as of one."""
    offsets = np.cumsum([0, *[len(labels) for labels, *_ in sets[:-1]]])
    labels, logits, owners, weights = zip(*sets)
    return np.concatenate(labels), np.concatenate(logits), np.concatenate([own + at for own, at in zip(owners, offsets)]), np.concatenate(weights)


if __name__ == "__main__":
    main()
