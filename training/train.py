"""Trains EmoNet on exported features: speaker-disjoint, seeded, resumable; keeps the best averaged weights by validation UAR."""

import argparse
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch

from undertone import augment
from undertone.data import LABELS, assert_disjoint, load, soft_targets
from undertone.metrics import recalls, uar
from undertone.model import EmoNet
from undertone.normalize import normalize, prior_of, sums_of
from undertone.score import clip_posteriors, score
from undertone.windows import cut, pad, random_ends


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", required=True, help="folder that `npm run features` wrote")
    parser.add_argument("--out", required=True, help="folder for checkpoints and the log")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vote-share", type=float, default=0.25)
    parser.add_argument("--mixup", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def draw_history(clips, sums, index, rng):
    """Statistics of a random number of other clips of each clip's speaker: none for a quarter, else 1 to 30."""
    count, total, square = sums
    drawn = []
    for i in index:
        others = clips.by_speaker[clips.speakers[i]]
        number = 0 if rng.random() < 0.25 else int(np.exp(rng.uniform(0, np.log(30))))
        pick = rng.choice(others, number)
        drawn.append((count[pick].sum(keepdims=True), total[pick].sum(0), square[pick].sum(0)))
    return [torch.from_numpy(np.stack(values).astype(np.float32)) for values in zip(*drawn)]


def make_batch(clips, index, mean, std, sums, rng):
    x, speech = pad(clips, index, mean)
    x, speech = augment.change_speed(x, speech)
    offset = augment.channel(len(index)) * (torch.rand(len(index), 1) < 0.5)
    before = augment.shift_history(draw_history(clips, sums, index, rng), offset)
    z = normalize(x + offset[:, None], speech, std, before)
    window, mask = cut(z, speech, random_ends(speech, rng))
    return augment.hide(window, mask)


def mix(features, mask, targets, alpha):
    share = float(np.random.beta(alpha, alpha)) if alpha > 0 else 1.0
    order = torch.randperm(len(features))
    share = max(share, 1 - share)
    mixed = share * features + (1 - share) * features[order]
    return mixed, torch.maximum(mask, mask[order] * float(share < 0.9)), share * targets + (1 - share) * targets[order]


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    np.random.seed(options.seed)
    rng = np.random.default_rng(options.seed)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)

    train, validation = load(options.features, "train"), load(options.features, "validation")
    assert_disjoint(train, validation)
    train.by_speaker = {s: np.flatnonzero(train.speakers == s) for s in np.unique(train.speakers)}
    mean, std = prior_of(train)
    sums, targets, std_tensor = sums_of(train, mean), torch.from_numpy(soft_targets(train, options.vote_share)), torch.from_numpy(std)

    model = EmoNet()
    averaged = copy.deepcopy(model)
    print(f"EmoNet, {sum(p.numel() for p in model.parameters()):,} parameters; {len(train)} clips of {len(train.by_speaker)} "
          f"speakers to train, {len(validation)} clips of {len(set(validation.speakers))} others to validate", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.02)
    steps_per_epoch = len(train) // options.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=steps_per_epoch * options.epochs, pct_start=0.2, div_factor=10)
    best, first_epoch = 0.0, 0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"]), averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"]), schedule.load_state_dict(state["schedule"])
        best, first_epoch = state["best"], state["epoch"]
        print(f"goes on after epoch {first_epoch}", flush=True)

    for epoch in range(first_epoch, options.epochs):
        started, losses = time.time(), []
        order = rng.permutation(len(train))
        # Clips of like length share a batch, in random order of batches.
        chunks = [np.sort(order[i : i + 12 * options.batch]) for i in range(0, len(order), 12 * options.batch)]
        chunks = [c[np.argsort([len(train.features[i]) for i in c])] for c in chunks]
        batches = [b for c in chunks for b in np.split(c, range(options.batch, len(c), options.batch)) if len(b) == options.batch]
        rng.shuffle(batches)
        model.train()
        for step, index in enumerate(batches[:steps_per_epoch]):
            features, mask = make_batch(train, index, mean, std_tensor, sums, rng)
            features, mask, target = mix(features, mask, targets[index], options.mixup)
            loss = torch.nn.functional.cross_entropy(model(features, mask), target, label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimizer.step()
            if schedule.last_epoch < schedule.total_steps - 1:
                schedule.step()
            losses.append(loss.item())
            decay = min(0.995, (1 + schedule.last_epoch) / (10 + schedule.last_epoch))
            with torch.no_grad():
                for a, p in zip(averaged.state_dict().values(), model.state_dict().values()):
                    a.mul_(decay).add_(p, alpha=1 - decay) if a.dtype.is_floating_point else a.copy_(p)
            if step % 20 == 0:
                left = (time.time() - started) / (step + 1) * (steps_per_epoch - step)
                print(f"\repoch {epoch + 1}/{options.epochs}, step {step}/{steps_per_epoch}, loss {np.mean(losses):.3f}, {left:.0f} s left of the epoch", end="", flush=True)
        logits, owners = score(averaged, validation, mean, std)
        predicted = clip_posteriors(logits, owners, len(validation)).argmax(1)
        result = {"epoch": epoch + 1, "loss": float(np.mean(losses)), "uar": uar(validation.labels, predicted),
                  "recall": recalls(validation.labels, predicted), "seconds": time.time() - started, "options": vars(options)}
        with open(out / "log.jsonl", "a") as log:
            log.write(json.dumps(result) + "\n")
        line = " ".join(f"{k[:3]} {v:.2f}" for k, v in result["recall"].items())
        print(f"\repoch {epoch + 1}: loss {result['loss']:.3f}, validation UAR {result['uar']:.3f} ({line}), {result['seconds']:.0f} s", flush=True)
        if result["uar"] > best:
            best = result["uar"]
            torch.save({"model": averaged.state_dict(), "mean": mean, "std": std, "labels": LABELS, "epoch": epoch + 1, "uar": best}, out / "best.pt")
        torch.save({"model": model.state_dict(), "averaged": averaged.state_dict(), "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(), "best": best, "epoch": epoch + 1}, checkpoint)


if __name__ == "__main__":
    main()
