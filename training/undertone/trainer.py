"""One training run: seeded, resumable, with averaged weights; validation, where there is any, never chooses the weights."""

import copy
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from . import augment, noise
from .data import LABELS, assert_disjoint, soft_targets
from .hints import Hints, sentences_of
from .importing import read_weights, settle
from .metrics import recalls, uar
from .normalize import centred, moments_of, normalize, prior_of
from .optimizing import Optimizing
from .phones import Phones, phones_of
from .score import clip_posteriors, score
from .windows import PAUSE_FRAMES, STRIDE, cut, pad, random_ends


def has_fast_half():
    """Whether bfloat16 pays: with AVX2 alone PyTorch emulates it, thirty times slower, and has no LSTM in it; 1.13 (Debian's) has no kernels."""
    capability = getattr(getattr(torch.backends, "cpu", None), "get_cpu_capability", None)
    return capability is not None and capability().startswith("AVX512")


class Trainer:
    """Trains on `train`; `test`, if given, is scored now and then, for the log alone.

    initial: the network's state to start from, as of an earlier run on the same speakers; random where None.
    teacher: what `score.teach` gave of the training clips, where the recipe has a share for it.
    """

    def __init__(self, recipe, train, out, test=None, initial=None, teacher=None):
        if test is not None:
            assert_disjoint(train, test)
        self.recipe, self.train, self.test = recipe, train, test
        self.out = Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        np.random.seed(recipe.seed)
        self.rng = np.random.default_rng(recipe.seed)
        self.mean, self.std = prior_of(train.where(train.copies == 0))
        self.moments = centred(moments_of(train), self.mean)
        self.targets = torch.from_numpy(soft_targets(train, recipe.vote_share))
        if recipe.teacher_share > 0:
            if teacher is None:
                raise SystemExit("Expected a teacher for a recipe with a teacher's share, got none")
            # A copy may be heard where its clip was not: that one is not taught.
            taught = torch.from_numpy(np.stack([teacher.get(path, np.zeros(len(LABELS))) for path in train.paths]).astype(np.float32))
            self.targets = torch.lerp(self.targets, taught, recipe.teacher_share * (taught.sum(1, keepdim=True) > 0))
        # The copies of each clip, itself first: an epoch draws one of them.
        self.originals = np.flatnonzero(train.copies == 0)
        of_path = {}
        for i, path in enumerate(train.paths):
            of_path.setdefault(path, []).append(i)
        self.copies_of = {i: [j for j in of_path[train.paths[i]] if j != i] for i in self.originals}
        self.spans = np.array([np.ptp(np.flatnonzero(flags)) for flags in train.heard])
        self.of_caller = {caller: np.flatnonzero(train.callers == caller) for caller in np.unique(train.callers)}
        self.model = recipe.network()
        if initial is not None:
            self.model.load_state_dict(initial)
        self.averaged = copy.deepcopy(self.model)
        self.sentences = sentences_of(train)
        if recipe.hint_sentence > 0 and self.sentences.shape[1] < 2:
            raise SystemExit("Expected features that say which sentence is spoken, for --hint-sentence is above 0, got none: `npm run features` writes them")
        self.phones = phones_of(train)
        if recipe.hint_phones > 0 and not self.phones[1].any():
            raise SystemExit("Expected features that say which of CREMA-D's sentences is spoken, for --hint-phones is above 0, got none")
        with torch.random.fork_rng(devices=[]):
            self.hints = Hints(recipe.channels, self.sentences.shape[1], recipe.hint_emotion, recipe.hint_sentence)
            self.saying = Phones(recipe.channels, recipe.hint_phones)
        self.steps_per_epoch = len(self.originals) // recipe.batch
        self.optimizing = Optimizing(recipe, self.model, self.beside.values(), self.steps_per_epoch * recipe.epochs)
        self.epoch = 0
        self.half = has_fast_half()

    @property
    def hinted(self):
        return self.recipe.hint_emotion > 0 or self.recipe.hint_sentence > 0

    @property
    def beside(self):
        """What learns beside the network, and is left behind."""
        return {**({"hints": self.hints} if self.hinted else {}), **({"phones": self.saying} if self.recipe.hint_phones > 0 else {})}

    def go_on_from(self, graph, cepstra=None, batches=24):
        """Starts from the weights of an exported model's whole-window graph, as of an earlier run on the same speakers; cepstra: see `importing.deafened`."""
        read_weights(self.model, graph, cepstra)
        settle(self.model, [self.inputs(index)[:2] for index in self.batches()[:batches]])
        self.averaged.load_state_dict(self.model.state_dict())

    @torch.no_grad()
    def measure_norms(self, batches=80):
        """Measures the statistics of all batch norms anew, as after weights were averaged, with nothing dropped."""
        norms = [module for module in self.model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
        self.model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for index in self.batches()[:batches]:
            self.loss(index)
        self.model.eval()

    def batches(self):
        """Indices of one epoch: each clip or a copy of it once, clips of like length together, in random order."""
        drawn = []
        for i in self.rng.permutation(self.originals):
            copies = self.copies_of[i]
            drawn.append(self.rng.choice(copies) if copies and self.rng.random() < self.recipe.copy_share else i)
        size = self.recipe.batch
        chunks = [np.array(drawn[at : at + 16 * size]) for at in range(0, len(drawn), 16 * size)]
        chunks = [c[np.argsort(self.spans[c], kind="stable")] for c in chunks]
        batches = [b for c in chunks for b in np.split(c, range(size, len(c), size)) if len(b) == size]
        return [batches[i] for i in self.rng.permutation(len(batches))]

    def history(self, index):
        """Moments of a random number of other clips of each clip's caller: none for some, many for most."""
        drawn = []
        for i in index:
            others, chance = self.of_caller[self.train.callers[i]], self.rng.random()
            if chance < self.recipe.new_share:
                number = 0
            elif chance < self.recipe.known_share:
                number = int(np.exp(self.rng.uniform(0, np.log(30))))
            else:
                number = int(self.rng.integers(30, 90))
            pick = torch.from_numpy(self.rng.choice(others, number))
            drawn.append([values[pick].sum(0) for values in self.moments])
        return [torch.stack(values) for values in zip(*drawn)]

    def lead(self, index):
        """For a share of the batches, the end of another clip of each caller and a pause before it."""
        if self.rng.random() >= self.recipe.lead_share:
            return None
        others = [self.rng.choice(self.of_caller[self.train.callers[i]]) for i in index]
        frames = np.minimum(self.rng.integers(40, 200, len(index)), [len(self.train.heard[i]) // 2 for i in others])
        return list(zip(others, frames, self.rng.integers(*PAUSE_FRAMES, len(index))))

    def inputs(self, index):
        """A batch as the network sees it: normalised features, flags, and where each clip starts."""
        recipe, rng = self.recipe, self.rng
        rates = np.exp(rng.uniform(-1, 1, len(index)) * np.log1p(recipe.tempo))
        # Not the whole clip: the steps of the trunk lie anywhere on the frames of a word.
        x, heard, starts = pad(self.train, index, self.mean, self.lead(index), rates, rng.integers(0, 2 * STRIDE, len(index)))
        offset = augment.channel(len(index), self.train.cepstra) * (torch.rand(len(index), 1) < recipe.channel_share)
        before = self.history(index)
        if recipe.warp_share > 0:
            factors = np.exp(rng.uniform(-1, 1, len(index)) * np.log1p(recipe.warp)) ** (rng.random(len(index)) < recipe.warp_share)
            x, before = augment.warp(x, before, self.mean, factors, self.train.cepstra)
        if recipe.noise_share > 0:
            ratios = np.where(rng.random(len(index)) < recipe.noise_share, rng.uniform(0, 20, len(index)), np.inf)
            x, heard, before = noise.add(x, heard, before, self.mean, ratios, self.train.cepstra)
        before = augment.shift_history(before, offset)
        z = normalize(x + offset[:, None], heard, torch.from_numpy(self.std), before)
        if recipe.jitter > 0:
            # What is not heard stays zero.
            z = augment.jitter(z, recipe.jitter).mul_(heard[..., None])
        if recipe.loss_share > 0:
            came = augment.arrived(*heard.shape, recipe.loss_share)
            z, heard = z.mul_(came[..., None]), heard * came
        return augment.hide(z), heard, starts

    def loss(self, index):
        recipe, rng = self.recipe, self.rng
        z, heard, starts = self.inputs(index)
        ends = random_ends(heard, starts, rng, recipe.windows, recipe.early_share)
        targets, sentences, shares = self.targets[index], self.sentences[index], torch.ones(len(index))
        if recipe.mixup > 0:
            # Each clip against another of its batch, aligned at the end of what is scored.
            share = torch.from_numpy(rng.beta(recipe.mixup, recipe.mixup, len(index)).astype(np.float32))
            share = torch.maximum(share, 1 - share)
            order = torch.from_numpy(rng.permutation(len(index)))
            heard = torch.maximum(heard, heard[order] * (share < 0.95)[:, None])
            z = torch.lerp(z[order], z, share[:, None, None])
            targets, sentences = (torch.lerp(of[order], of, share[:, None]) for of in (targets, sentences))
            shares = share
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            steps, _ = self.model.trunk(z, heard)
            logits = self.model.score(cut(steps.float(), ends)).float()
        loss = F.cross_entropy(logits, targets.repeat_interleave(recipe.windows, 0), label_smoothing=recipe.smoothing)
        if recipe.hint_phones > 0:
            loss = loss + self.saying(steps.float(), [of[index] for of in self.phones], shares)
        return loss + self.hints(steps.float(), targets, sentences, recipe.smoothing) if self.hinted else loss

    def average(self):
        taken = self.optimizing.taken
        decay = min(self.recipe.average, (1 + taken) / (10 + taken))
        with torch.no_grad():
            pairs = list(zip(self.averaged.state_dict().values(), self.model.state_dict().values()))
            for a, p in pairs:
                if not a.dtype.is_floating_point:
                    a.copy_(p)
            floats = [(a, p) for a, p in pairs if a.dtype.is_floating_point]
            torch._foreach_mul_([a for a, _ in floats], decay)
            torch._foreach_add_([a for a, _ in floats], [p for _, p in floats], alpha=1 - decay)

    def run(self, score_every=10, report=print):
        checkpoint = self.out / "checkpoint.pt"
        if checkpoint.exists():
            self.restore(read(checkpoint))
            report(f"{self.out}: goes on after epoch {self.epoch}")
        started, first = time.time(), self.epoch
        while self.epoch < self.recipe.epochs:
            self.model.train()
            losses = []
            for index in self.batches():
                loss = self.loss(index)
                self.optimizing.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
                self.optimizing.step()
                self.average()
                losses.append(loss.item())
            self.epoch += 1
            left = (time.time() - started) / (self.epoch - first) * (self.recipe.epochs - self.epoch)
            line = f"{self.out}: epoch {self.epoch}/{self.recipe.epochs}, loss {np.mean(losses):.3f}"
            entry = {"epoch": self.epoch, "loss": float(np.mean(losses)), "seconds": time.time() - started}
            if self.test is not None and (self.epoch % score_every == 0 or self.epoch == self.recipe.epochs):
                entry |= self.figures()
                line += f", UAR {entry['uar']:.3f} ({' '.join(f'{k[:3]} {v:.2f}' for k, v in entry['recall'].items())})"
            report(f"{line}, {left / 60:.0f} min left")
            with open(self.out / "log.jsonl", "a") as log:
                log.write(json.dumps(entry) + "\n")
            torch.save(self.state(), checkpoint)
        result = {"mean": torch.from_numpy(self.mean), "std": torch.from_numpy(self.std), "cepstra": self.train.cepstra, "labels": LABELS, "recipe": asdict(self.recipe), "model": self.averaged.state_dict()}
        torch.save(result, self.out / "final.pt")
        return entry if first < self.recipe.epochs else self.figures()

    def figures(self):
        scored = score(self.averaged, self.test, self.mean, self.std)
        predicted = clip_posteriors(*scored, len(self.test)).argmax(1)
        return {"uar": uar(self.test.labels, predicted), "recall": recalls(self.test.labels, predicted)}

    def state(self):
        return {
            "model": self.model.state_dict(), "averaged": self.averaged.state_dict(), "optimizing": self.optimizing.state_dict(),
            **{name: module.state_dict() for name, module in self.beside.items()}, "epoch": self.epoch, "rng": self.rng.bit_generator.state, "numpy": np.random.get_state(),
            "torch": torch.get_rng_state(),
        }

    def restore(self, state):
        parts = {name: getattr(self, name) for name in ("model", "averaged", "optimizing")} | self.beside
        missing = sorted(set(parts) - set(state))
        if missing:
            raise SystemExit(f"Expected {self.out}/checkpoint.pt to be of this version and recipe, but it lacks {', '.join(missing)}: begin in another folder")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        self.epoch = state["epoch"]
        self.rng.bit_generator.state = state["rng"]
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])


def read(path):
    """A checkpoint of one's own, with the generators' states in it: not a file to take from strangers."""
    return torch.load(path, **({"weights_only": False} if int(torch.__version__.split(".")[0]) >= 2 else {}))
