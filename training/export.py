"""Calibrates trained weights and exports them: ONNX graphs, manifest, parity fixture; prints the figures."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from undertone.data import load, split_by_speaker
from undertone.exporting import write_graphs, write_int8, write_manifest, write_parity
from undertone.report import calibrated, figures
from undertone.score import score
from undertone.trainer import Recipe


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="folder of a finished run: final.pt and speakers.json")
    parser.add_argument("--data", required=True, help="features of the corpus that it was trained on; its unseen speakers calibrate")
    parser.add_argument("--copies", help="features with copies of the unseen speakers (exported with --augment-all), which then calibrate too")
    parser.add_argument("--other", help="features of another corpus, to be evaluated on only")
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
    temperatures = calibrated(*together([(clips.labels, *score(model, clips, mean, std)) for clips in heard]))

    out.mkdir(parents=True, exist_ok=True)
    files = write_graphs(model, out)
    int8 = write_int8(model, unseen, mean, std, out)
    if not int8:
        print("The Python package onnx is not there: the model gets no head in 8-bit integers", file=sys.stderr)
    files |= int8
    write_parity(model, unseen, mean, std, out)
    trained_on = f"CREMA-D, {len(speakers['train'])} actors; calibrated on {len(speakers['test'])} others"
    write_manifest(model, files, mean, std, temperatures, options.version, trained_on, out)
    (out / "speakers.json").write_text(json.dumps(speakers) + "\n")

    report = {"recipe": state["recipe"], "parameters": sum(p.numel() for p in model.parameters()), "temperatures": temperatures}
    for name, clips in {"unseen": unseen, **({"other": load(options.other)} if options.other else {})}.items():
        clips = clips.where(clips.copies == 0)
        for independent in (False, True):
            scored = score(model, clips, mean, std, independent=independent)
            report[f"{name}{', each clip a new caller' if independent else ''}"] = figures(clips, *scored, temperatures)
    print(json.dumps(report, indent=1))


def copies_of(unseen, clips):
    """The copies of the unseen speakers' clips."""
    return clips.where((clips.copies > 0) & np.isin(clips.speakers, unseen.speakers))


def together(sets):
    """(labels, logits, owners, weights) of several scored sets as of one."""
    offsets = np.cumsum([0, *[len(labels) for labels, *_ in sets[:-1]]])
    labels, logits, owners, weights = zip(*sets)
    return np.concatenate(labels), np.concatenate(logits), np.concatenate([own + at for own, at in zip(owners, offsets)]), np.concatenate(weights)


if __name__ == "__main__":
    main()
