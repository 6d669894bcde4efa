"""Trains EmoNet on exported features: one run, or speaker-disjoint folds and then the run that ships.

Runs are seeded and go on where they were cut off. Each finished run leaves a line in OUT/runs.jsonl.
"""

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch

from undertone.data import folds_of, load, split_by_speaker
from undertone.importing import Exported, assert_hears_alike, cepstra_heard_by, deafened
from undertone.recipe import Recipe
from undertone.report import calibrated, figures, pooled
from undertone.score import score, teach
from undertone.trainer import Trainer


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that `npm run features` wrote")
    parser.add_argument("--out", default="training/runs/latest", help="folder for checkpoints and results (default: %(default)s)")
    parser.add_argument("--folds", type=int, default=0, help="cross-validate over this many folds of all speakers, then stop")
    parser.add_argument("--fold", type=int, help="only this one of the folds")
    parser.add_argument("--test-split", default="validation", help="without --folds: the split that is held out (default: %(default)s)")
    parser.add_argument("--initial", help="folder of a finished run, or of an exported model, to go on from with a new schedule; it must know no other speakers")
    parser.add_argument("--teacher", nargs="+", help="folders of finished runs, or of exported models, whose mean posteriors are mixed into the targets (--teacher-share); they must know no other speakers")
    parser.add_argument("--threads", type=int, default=2)
    for field in fields(Recipe):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default, help="(default: %(default)s)")
    return parser.parse_args()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    out = Path(options.out)
    if options.folds:
        clips = load(options.data)
        folds = folds_of(clips, options.folds)
        wanted = range(options.folds) if options.fold is None else [options.fold]
        for number in wanted:
            train, test = split_by_speaker(clips, folds[number])
            one(recipe, train, test, out / f"fold-{number}", options)
        if all((out / f"fold-{number}" / "test.npz").exists() for number in range(options.folds)):
            cross_validated(out, options.folds)
        return
    held_out = load(options.data, options.test_split)
    train, test = split_by_speaker(load(options.data), set(held_out.speakers))
    one(recipe, train, test, out, options)


def one(recipe, train, test, out, options):
    """A run, its windows' logits on the speakers that it never heard, and its line in runs.jsonl."""
    exported = options.initial is not None and (Path(options.initial) / "manifest.json").exists()
    initial, cepstra = initial_of(options.initial, train)
    teacher = taught_by(options.teacher, train) if recipe.teacher_share > 0 else None
    trainer = Trainer(recipe, train, out, test, initial=None if exported else initial, teacher=teacher)
    if exported and not (out / "checkpoint.pt").exists():
        trainer.go_on_from(initial, cepstra)
    count = sum(p.numel() for p in trainer.model.parameters())
    print(f"{recipe.kind}, {count:,} parameters; {len(trainer.originals)} clips and {len(train) - len(trainer.originals)} copies of "
          f"{len(set(train.speakers))} speakers to train, {len(test)} clips of {len(set(test.speakers))} others to test", flush=True)
    trainer.run(report=lambda line: print(line, flush=True))
    scored = {name: score(trainer.averaged, test, trainer.mean, trainer.std, independent=name == "new") for name in ("caller", "new")}
    np.savez(
        out / "test.npz", labels=test.labels, speakers=test.speakers, paths=np.array(test.paths),
        **{f"{kind}_{name}": scored[name][at] for name in scored for at, kind in enumerate(("logits", "owners", "weights"))},
    )
    (out / "speakers.json").write_text(json.dumps({"train": sorted(set(train.speakers)), "test": sorted(set(test.speakers))}) + "\n")
    calibration = calibrated(test.labels, *scored["caller"])
    entry = {
        "recipe": asdict(recipe), "data": str(Path(options.data).name), "parameters": count, "out": out.name,
        "caller": figures(test, *scored["caller"], calibration), "newCaller": figures(test, *scored["new"], calibration),
    }
    with open(out.parent / "runs.jsonl", "a") as log:
        log.write(json.dumps(entry) + "\n")
    print(f"{out}: UAR {entry['caller']['uar']:.3f}, each clip a new caller {entry['newCaller']['uar']:.3f}", flush=True)


def initial_of(folder, train):
    """The weights of an earlier run, or the graph of an exported model; stops if it heard anyone else than this one does.

    And how many cepstra it goes on with, where it heard more of them than there are now: what stands in their place it learns from nothing.
    """
    if folder is None:
        return None, None
    assert_knows_no_others(folder, train, "--initial")
    cepstra = train.cepstra if cepstra_heard_by(folder) > train.cepstra else None
    if cepstra is None:
        assert_hears_alike(folder, train, "--initial")
    if (Path(folder) / "manifest.json").exists():
        return Path(folder) / json.loads((Path(folder) / "manifest.json").read_text())["files"]["whole"]["path"], cepstra
    state = torch.load(Path(folder) / "final.pt")["model"]
    return state if cepstra is None else deafened(state, cepstra), cepstra


def taught_by(folders, train):
    """Mean posteriors of finished runs or exported models for the training clips; stops if one heard anyone else than this run does."""
    if folders is None:
        raise SystemExit("Expected --teacher, for --teacher-share is above 0, got none")
    taught = []
    for folder in folders:
        assert_knows_no_others(folder, train, "--teacher")
        assert_hears_alike(folder, train, "--teacher")
        if (Path(folder) / "manifest.json").exists():
            model = Exported(folder)
            taught.append(teach(model, train, model.mean, model.std))
            continue
        state = torch.load(Path(folder) / "final.pt")
        model = Recipe(**state["recipe"]).network()
        model.load_state_dict(state["model"])
        taught.append(teach(model, train, state["mean"].numpy(), state["std"].numpy()))
    return {path: sum(each[path] for each in taught) / len(taught) for path in taught[0]}


def assert_knows_no_others(folder, train, option):
    known = json.loads((Path(folder) / "speakers.json").read_text())["train"]
    strangers = sorted(set(known) - set(train.speakers))
    if strangers:
        raise SystemExit(f"Expected {option} to know this run's training speakers alone, but it also knows {', '.join(strangers)}")


def cross_validated(out, count):
    """Figures over all folds: each fold's calibration is fitted on the other folds' unseen speakers, never on its own."""
    parts = [np.load(out / f"fold-{number}" / "test.npz") for number in range(count)]
    for name in ("caller", "new"):
        result = pooled(parts, name)
        print(f"{'each speaker one caller' if name == 'caller' else 'each clip a new caller'}: {json.dumps(result)}", flush=True)
        with open(out / "runs.jsonl", "a") as log:
            log.write(json.dumps({"folds": count, "order": name, **result}) + "\n")


if __name__ == "__main__":
    main()
