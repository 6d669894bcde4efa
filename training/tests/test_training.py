"""A whole small training on the demo's clips: features by the serving code, a run cut off and gone on with, and the export."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from train import initial_of, taught_by
from undertone.data import FEATURES, load, split_by_speaker
from undertone import augment
from undertone.hints import sentences_of
from undertone.exporting import context_of, settled, write_graphs, write_manifest
from undertone.serving import StreamingTrunk
from undertone.report import Calibration, calibrated, figures, pooled
from undertone.score import score
from undertone.trainer import Trainer, read
from undertone.normalize import normalize
from undertone.recipe import Recipe
from undertone.windows import STRIDE, cut, pad, random_ends, utterances, window_ends

ROOT = Path(__file__).resolve().parents[2]
SMALL = Recipe(epochs=2, batch=4, channels=16, lstm=8, lr=1e-3)


def replace_sentences(clips, code):
    return replace(clips, sentences=np.full(len(clips), code))


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.folder = Path(tempfile.mkdtemp(prefix="undertone-training-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        command = ["node", "tools/features/main.ts", "--data", "assets/demo", "--out", str(cls.folder / "features"), "--augment", "1", "--augment-all"]
        subprocess.run([*command, "--limit", "24"], cwd=ROOT, check=True, capture_output=True)
        cls.clips = load(cls.folder / "features")
        names = sorted(set(cls.clips.speakers))
        cls.train, cls.test = split_by_speaker(cls.clips, names[:1])

    def run_of(self, name, recipe=SMALL, **more):
        trainer = Trainer(recipe, self.train, self.folder / name, self.test, **more)
        return trainer, trainer.run(report=lambda line: None)

    def log_of(self, name):
        return [json.loads(line) for line in (self.folder / name / "log.jsonl").read_text().splitlines()]

    def test_learns_from_copies_but_is_tested_on_clips_alone(self):
        self.assertEqual(set(self.clips.copies), {0, 1})
        self.assertEqual(set(self.test.copies), {0})
        trainer = Trainer(replace(SMALL, copy_share=1.0), self.train, self.folder / "copies")
        drawn = np.concatenate(trainer.batches())
        self.assertTrue((self.train.copies[drawn] == 1).any())
        self.assertEqual(len(drawn), len(trainer.originals) // 4 * 4)

    def test_goes_on_after_an_interruption_as_if_there_had_been_none(self):
        for name, recipe in (("adamw", SMALL), ("muon", replace(SMALL, muon=2.0))):
            with self.subTest(name):
                self.goes_on(recipe, f"whole-{name}", f"cut-{name}")

    def goes_on(self, recipe, undisturbed, cut):
        whole, _ = self.run_of(undisturbed, recipe)
        cut_off = Trainer(recipe, self.train, self.folder / cut, self.test)

        class Interrupted(Exception):
            pass

        def interrupt(line):
            raise Interrupted

        # The report comes before the checkpoint is written: the first epoch is lost and done again.
        with self.assertRaises(Interrupted):
            cut_off.run(report=interrupt)
        self.assertFalse((self.folder / cut / "checkpoint.pt").exists())
        once = Trainer(recipe, self.train, self.folder / cut, self.test)
        lines = []

        def stop_after_one(line):
            lines.append(line)
            if len(lines) == 2:
                raise Interrupted

        with self.assertRaises(Interrupted):
            once.run(report=stop_after_one)
        resumed, _ = self.run_of(cut, recipe)
        for a, b in zip(whole.averaged.state_dict().values(), resumed.averaged.state_dict().values()):
            self.assertTrue(torch.equal(a, b))
        self.assertEqual([entry["epoch"] for entry in self.log_of(cut)], [1, 2])

    def test_learns(self):
        trainer, _ = self.run_of("learns", replace(SMALL, epochs=30, mixup=0.0, lr=5e-3))
        losses = [entry["loss"] for entry in self.log_of("learns")]
        self.assertLess(losses[-1], losses[0] - 0.1)
        self.assertEqual(trainer.epoch, 30)

    def test_goes_on_from_an_earlier_run_but_not_from_one_that_knows_the_test_speakers(self):
        first, _ = self.run_of("first")
        second = Trainer(replace(SMALL, epochs=1), self.train, self.folder / "second", initial=first.averaged.state_dict())
        for a, b in zip(first.averaged.state_dict().values(), second.model.state_dict().values()):
            self.assertTrue(torch.equal(a, b))
        (self.folder / "first" / "speakers.json").write_text(json.dumps({"train": sorted(set(self.clips.speakers))}))
        with self.assertRaisesRegex(SystemExit, "this run's training speakers alone"):
            initial_of(self.folder / "first", self.train)

    @unittest.skipIf(any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")), "the Python packages onnx and onnxruntime are not there")
    def test_goes_on_from_an_exported_model_with_what_it_answers(self):
        trainer, _ = self.run_of("shipped")
        folder = self.folder / "shipped" / "model"
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            files = write_graphs(trainer.averaged, folder)
        normalization = {"mean": trainer.mean.tolist(), "std": trainer.std.tolist()}
        manifest = {"files": files, "contextFrames": context_of(trainer.averaged), "normalization": normalization}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        for known in (folder, folder.parent):
            (known / "speakers.json").write_text(json.dumps({"train": sorted(set(self.train.speakers))}))
        other = Trainer(replace(SMALL, seed=9), self.train, self.folder / "from-shipped")
        other.go_on_from(*initial_of(folder, self.train))
        z, heard, _ = other.inputs(other.batches()[0])
        with torch.no_grad():
            expected = trainer.averaged.eval()(z, heard)
            self.assertLess(float((other.averaged.eval()(z, heard) - expected).abs().max()), 1e-3)
            # With the statistics of the batches it saw: in training it begins near where the shipped one ended.
            norm = other.model.blocks[0].dilated.norm
            self.assertLess(float((norm.running_mean - trainer.averaged.blocks[0].dilated.norm.running_mean).abs().min()), 1)
            self.assertAlmostEqual(float(other.model.stem[1].conv.weight.flatten(1).norm(dim=1).mean()), 1, places=4)
        # Where the pitch stands in the place of cepstra, nothing of it is heard yet.
        other.go_on_from(*initial_of(folder, replace(self.train, cepstra=13)))
        self.assertTrue(bool((other.averaged.cepstrum.conv.weight[:, :13] != 0).any() and (other.averaged.cepstrum.conv.weight[:, 13:] == 0).all()))
        # Its graph teaches what the network taught that it was made of.
        taught, again = (taught_by([each], self.train) for each in (folder, self.folder / "shipped"))
        self.assertTrue(all(np.allclose(taught[path], again[path], atol=1e-4) for path in self.train.paths))

    def test_averages_runs_of_the_same_speakers_alone(self):
        first, _ = self.run_of("soup-1")
        initial = {name: value.clone() for name, value in first.averaged.state_dict().items()}
        taught = {path: np.full(6, 1 / 6) for path in self.train.paths}
        for number, seed in ((2, 3), (3, 4)):
            recipe = replace(SMALL, seed=seed, epochs=1, teacher_share=0.3)
            Trainer(recipe, self.train, self.folder / f"soup-{number}", initial=initial, teacher=taught).run(report=lambda line: None)
        known = {"train": sorted(set(self.train.speakers)), "test": sorted(set(self.test.speakers))}
        runs = [self.folder / f"soup-{number}" for number in (2, 3)]
        for run in runs:
            (run / "speakers.json").write_text(json.dumps(known))
        command = [sys.executable, "training/average.py", "--data", str(self.folder / "features"), "--out", str(self.folder / "soup"), "--runs", *map(str, runs)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        soup, *parts = (torch.load(run / "final.pt")["model"] for run in (self.folder / "soup", *runs))
        name = "blocks.1.mix.weight"
        self.assertTrue(torch.allclose(soup[name], (parts[0][name] + parts[1][name]) / 2, atol=1e-6))
        # Averaged weights see other statistics than either network's.
        self.assertGreater(int(soup["join.1.num_batches_tracked"]), 0)
        self.assertTrue(all(torch.isfinite(value).all() for value in soup.values()))
        (runs[1] / "speakers.json").write_text(json.dumps({"train": known["test"], "test": known["train"]}))
        self.assertNotEqual(subprocess.run(command, cwd=ROOT, capture_output=True).returncode, 0)

    def test_what_is_not_heard_around_a_clip_may_be_left_out(self):
        trainer = Trainer(SMALL, self.train, self.folder / "spans")
        index = np.arange(6)
        first = np.array([np.flatnonzero(self.train.heard[i])[0] for i in index])
        last = np.array([np.flatnonzero(self.train.heard[i])[-1] for i in index])
        self.assertTrue((first >= STRIDE).any())
        # As many frames stay as the trunk's steps keep their places.
        whole, spans = pad(self.train, index, trainer.mean), pad(self.train, index, trainer.mean, before=first % STRIDE)
        self.assertLess(spans[0].shape[1], whole[0].shape[1])
        ends = -(-(last + 1) // STRIDE) * STRIDE

        def logits(x, heard, ends):
            steps, _ = trainer.model.eval().trunk(normalize(x, heard, torch.from_numpy(trainer.std)), heard)
            return trainer.model.score(cut(steps, ends[:, None]))

        expected, got = logits(*whole[:2], ends), logits(*spans[:2], ends - (first - first % STRIDE))
        self.assertLess(float((got - expected).abs().max()), 1e-4)

    def test_windows_end_early_in_a_share_of_clips(self):
        heard, starts = torch.ones(400, 300), np.zeros(400, dtype=int)
        rng = np.random.default_rng(1)
        self.assertTrue((random_ends(heard, starts, rng, 1) >= 300).all())
        early = (random_ends(heard, starts, rng, 1, early_share=0.5) < 300).mean()
        self.assertGreater(early, 0.35)
        self.assertLess(early, 0.55)

    def test_hides_runs_of_bands_cepstra_and_time_and_jitters_the_rest(self):
        np.random.seed(1)
        torch.manual_seed(1)
        hidden = augment.hide(torch.ones(200, 120, 104)) == 0
        bands, times = hidden.all(1), hidden.all(2)
        self.assertTrue(torch.equal(hidden, bands[:, None] | times[..., None]))
        self.assertLessEqual(int(bands[:, :64].sum(1).max()), 16)
        self.assertLessEqual(int(bands[:, 64:].sum(1).max()), 5)
        self.assertLessEqual(int(times.sum(1).max()), 40)
        self.assertGreater(float(times.float().mean()), 0.1)
        jittered = augment.jitter(torch.zeros(200, 4, 104), 1.0)
        self.assertTrue(torch.equal(jittered[:, 0], jittered[:, 3]))
        self.assertLess(abs(float(jittered[:, 0].std()) - 0.28), 0.05)

    def test_loses_packets_of_a_share_of_the_clips(self):
        np.random.seed(1)
        lost = augment.arrived(2000, 400, 0.5) == 0
        spoiled = lost.any(1)
        self.assertLess(abs(float(spoiled.float().mean()) - 0.5), 0.05)
        # 2 to 25 %, and whole packets: runs within a clip are of an even number of frames.
        self.assertLess(abs(float(lost[spoiled].float().mean()) - 0.135), 0.015)
        edges = torch.nn.functional.pad(lost.int(), (1, 1)).diff(dim=1)
        for row in np.flatnonzero(spoiled):
            first, end = (np.flatnonzero(edges[row] == sign) for sign in (1, -1))
            inner = (first > 0) & (end < 400)
            self.assertTrue(((end - first)[inner] % 2 == 0).all())
        self.assertFalse((augment.arrived(50, 400, 0.0) == 0).any())

    def test_does_not_hear_what_was_lost(self):
        def inputs(name, loss_share):
            trainer = Trainer(replace(SMALL, loss_share=loss_share, jitter=0.5), self.train, self.folder / name)
            return trainer.inputs(np.arange(8))[:2]

        (_, whole), (z, heard) = inputs("whole", 0.0), inputs("lossy", 1.0)
        self.assertTrue(((heard == 0) | (whole == 1)).all())
        self.assertLess(float(heard.sum()), 0.98 * float(whole.sum()))
        self.assertEqual(float(z[heard == 0].abs().sum()), 0)
        self.assertGreater(float(z[heard == 1].abs().sum()), 0)

    def test_gives_a_caller_another_vocal_tract(self):
        centres = augment.band_centres()
        self.assertTrue((np.diff(centres) > 0).all() and centres[0] > augment.LOWEST_HZ and centres[-1] < augment.HIGHEST_HZ)
        # A peak at 1 kHz is heard 10 % lower by a band that listens 10 % higher, and weights are of a mean.
        matrix = augment.warps([1.0, 1.1])
        self.assertTrue(torch.allclose(matrix.sum(1), torch.ones(2, 64)))
        self.assertTrue(torch.allclose(matrix[0], torch.eye(64), atol=1e-5))
        peak = torch.exp(-((torch.from_numpy(centres).float() - 1000) / 150) ** 2)
        self.assertAlmostEqual(float(centres[int((peak @ matrix[1]).argmax())]), 1000 / 1.1, delta=60)

        torch.manual_seed(1)
        mean = torch.randn(104).numpy()
        mean[64:] = mean[:64] @ augment.DCT.numpy()
        raw = torch.randn(2, 50, 64).cumsum(2)
        raw = torch.cat([raw, raw @ augment.DCT], 2)
        x = raw - torch.from_numpy(mean)
        before = (torch.full((2, 1), 50.0), x.sum(1), (x * x).sum(1))
        warped, (count, total, square) = augment.warp(x, before, mean, [1.0, 1.1])
        self.assertTrue(torch.equal(warped[0], x[0]) and torch.equal(square[0], before[2][0]) and torch.equal(count, before[0]))
        # The statistics are those of the other voice, the mean exactly, the deviation nearly.
        self.assertTrue(torch.allclose(total[1], warped[1].sum(0), atol=1e-2))
        spread = lambda total, square: (square - total * total / 50)[:64]
        measured = spread(warped[1].sum(0), (warped[1] ** 2).sum(0))
        self.assertLess(float((spread(total[1], square[1]) / measured - 1).abs().max()), 0.2)
        self.assertTrue(torch.allclose(warped[1, :, 64:] + torch.from_numpy(mean)[64:], (warped[1, :, :64] + torch.from_numpy(mean)[:64]) @ augment.DCT, atol=1e-3))

    def test_trains_in_other_voices(self):
        self.run_of("warped", replace(SMALL, epochs=1, warp_share=0.5))
        self.assertTrue(np.isfinite(self.log_of("warped")[0]["loss"]))

    def test_hints_of_emotion_sentence_and_phones_move_the_trunk_and_are_left_behind(self):
        recipe = replace(SMALL, epochs=1, hint_emotion=0.5, hint_sentence=0.25, hint_phones=1.0)
        plain, _ = self.run_of("unhinted", replace(SMALL, epochs=1))
        hinted, _ = self.run_of("hinted", recipe)
        self.assertEqual(set(hinted.model.state_dict()), set(plain.model.state_dict()))
        self.assertFalse(torch.equal(hinted.model.join[0].weight, plain.model.join[0].weight))
        known = sorted({path.split("_")[1] for path in self.train.paths})
        self.assertEqual([known[row.argmax()] for row in sentences_of(self.train)], [path.split("_")[1] for path in self.train.paths])
        # Gone on with, the layers are what they were.
        again = Trainer(recipe, self.train, self.folder / "hinted")
        again.restore(read(self.folder / "hinted" / "checkpoint.pt"))
        self.assertEqual(set(again.beside), {"hints", "phones"})
        for name, module in again.beside.items():
            self.assertTrue(all(torch.equal(a, b) for a, b in zip(module.parameters(), hinted.beside[name].parameters())))
        with self.assertRaisesRegex(SystemExit, "lacks hints, phones: begin in another folder"):
            again.restore({name: value for name, value in again.state().items() if name not in again.beside})
        silent = replace_sentences(self.train, "")
        with self.assertRaisesRegex(SystemExit, "which sentence is spoken"):
            Trainer(recipe, silent, self.folder / "silent")
        with self.assertRaisesRegex(SystemExit, "which of CREMA-D's sentences is spoken"):
            Trainer(replace(recipe, hint_sentence=0.0), silent, self.folder / "silent")
        Trainer(replace(recipe, hint_sentence=0.0, hint_phones=0.0), silent, self.folder / "silent")

    def test_learns_from_a_teacher_that_knows_the_same_speakers_alone(self):
        first, _ = self.run_of("teacher")
        folder, recipe = self.folder / "teacher", replace(SMALL, teacher_share=0.4)
        (folder / "speakers.json").write_text(json.dumps({"train": sorted(set(self.train.speakers))}))
        taught = taught_by([folder], self.train)
        self.assertEqual(set(taught), set(self.train.paths))
        # Of several teachers the mean.
        self.run_of("other", replace(SMALL, seed=5))
        (self.folder / "other" / "speakers.json").write_text((folder / "speakers.json").read_text())
        other, both = taught_by([self.folder / "other"], self.train), taught_by([folder, self.folder / "other"], self.train)
        self.assertTrue(all(np.allclose(both[path], (taught[path] + other[path]) / 2) for path in self.train.paths))
        self.assertFalse(all(np.allclose(other[path], taught[path]) for path in self.train.paths))
        trainer = Trainer(recipe, self.train, self.folder / "pupil", teacher=taught)
        self.assertTrue(torch.allclose(trainer.targets.sum(1), torch.ones(len(self.train)), atol=1e-5))
        for i, (path, plain) in enumerate(zip(self.train.paths, first.targets)):
            self.assertTrue(torch.allclose(trainer.targets[i], 0.6 * plain + 0.4 * torch.from_numpy(taught[path]).float(), atol=1e-5))
        del taught[self.train.paths[0]]
        trainer = Trainer(recipe, self.train, self.folder / "pupil", teacher=taught)
        self.assertTrue(torch.equal(trainer.targets[0], first.targets[0]))
        with self.assertRaisesRegex(SystemExit, "teacher"):
            Trainer(recipe, self.train, self.folder / "untaught")
        (folder / "speakers.json").write_text(json.dumps({"train": sorted(set(self.clips.speakers))}))
        with self.assertRaisesRegex(SystemExit, "--teacher to know this run's training speakers alone"):
            taught_by([folder], self.train)

    def test_trains_on_pitch_with_all_that_is_done_to_features_and_says_so_in_the_manifest(self):
        features = self.folder / "pitched"
        command = ["node", "tools/features/main.ts", "--data", "assets/demo", "--out", str(features), "--pitch", "--limit", "12"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        clips = load(features)
        self.assertEqual(clips.cepstra, 13)
        plain = load(self.folder / "features")
        self.assertTrue(np.array_equal(clips.features[0][:, :77], plain.features[plain.paths.index(clips.paths[0])][:, :77]))
        recipe = replace(SMALL, epochs=1, channel_share=1.0, noise_share=0.5, warp_share=0.5, loss_share=0.2, jitter=0.4)
        trainer = Trainer(recipe, clips, self.folder / "pitched-run")
        self.assertTrue(np.isfinite(trainer.run(report=lambda line: None)["loss"]))
        (self.folder / "pitched-run" / "speakers.json").write_text(json.dumps({"train": sorted(set(clips.speakers))}))
        for loader, option in ((initial_of, "--initial"), (lambda folder, train: taught_by([folder], train), "--teacher")):
            with self.assertRaisesRegex(SystemExit, f"{option} to hear 40 cepstra, as the features have, but .* hears 13"):
                loader(self.folder / "pitched-run", self.clips)
        write_manifest(trainer.averaged, {}, trainer.mean, trainer.std, clips.cepstra, Calibration(1.0, 1.0, np.zeros(6)), "0", "", self.folder / "pitched-run")
        manifest = json.loads((self.folder / "pitched-run" / "manifest.json").read_text())
        self.assertEqual((manifest["mfccCount"], manifest["pitchCount"]), (13, 27))

    def test_goes_on_with_the_pitch_from_a_run_that_heard_cepstra_in_its_place(self):
        before, _ = self.run_of("cepstral")
        (self.folder / "cepstral" / "speakers.json").write_text(json.dumps({"train": sorted(set(self.train.speakers))}))
        same, kept = initial_of(self.folder / "cepstral", self.train)
        self.assertIsNone(kept)
        self.assertTrue(all(torch.equal(value, same[name]) for name, value in before.averaged.state_dict().items()))
        state, cepstra = initial_of(self.folder / "cepstral", replace(self.train, cepstra=13))
        self.assertEqual(cepstra, 13)
        torch.manual_seed(2)
        heard, other = torch.randn(2, 1, 160, FEATURES)
        other[..., :77] = heard[..., :77]
        mask, deaf = torch.ones(1, 160), SMALL.network()
        answers = []
        for weights in (same, state):
            deaf.load_state_dict(weights)
            answers.append([deaf.eval()(features, mask) for features in (heard, other)])
        # Nothing of the new features is heard yet, and everything else as it was.
        self.assertFalse(torch.allclose(*answers[0], atol=1e-4))
        self.assertTrue(torch.equal(*answers[1]))
        changed = {name for name in state if not torch.equal(state[name], same[name])}
        self.assertEqual(changed, {"cepstrum.conv.weight", "head.2.weight"})
        self.assertTrue(torch.equal(state["cepstrum.conv.weight"][:, :13], same["cepstrum.conv.weight"][:, :13]))
        silent = [name for name in changed if bool((state[name] == 0).any() and (same[name] != 0).all())]
        self.assertEqual(set(silent), changed)

    def test_refuses_test_speakers_in_training(self):
        with self.assertRaisesRegex(SystemExit, "no speaker in both sets"):
            Trainer(SMALL, self.train, self.folder / "leaky", self.train)

    def test_figures_add_up(self):
        trainer, _ = self.run_of("figures")
        logits, owners, weights = score(trainer.averaged, self.test, trainer.mean, trainer.std)
        self.assertTrue((weights > 0).all() and (weights <= 1).all() and len(weights) == len(owners))
        result = figures(self.test, logits, owners, weights, calibrated(self.test.labels, logits, owners, weights))
        self.assertEqual(sum(map(sum, result["confusion"])), len(self.test))
        self.assertEqual(result["windows"], len(logits))
        # One row is one window of the call, at the ends where a live call is scored.
        again = score(trainer.averaged, self.test, trainer.mean, trainer.std)
        np.testing.assert_array_equal(again[0], logits)
        part = {"labels": self.test.labels, "speakers": self.test.speakers, "logits_caller": logits, "owners_caller": owners, "weights_caller": weights}
        both = pooled([part, part], "caller")
        own = figures(self.test, logits, owners, weights, calibrated(self.test.labels, logits, owners, weights, biased=True))
        self.assertAlmostEqual(both["meanUar"], own["uar"])
        self.assertEqual(both["clips"], 2 * len(self.test))
        np.testing.assert_allclose(np.sum(both["biases"], 1), 0, atol=1e-5)

    def test_the_bias_goes_into_the_last_layer(self):
        model = self.run_of("settled")[0].averaged.eval()
        bias = np.array([0.5, 0, 0, 0, -0.5, 0], dtype=np.float32)
        biased, left = settled(model, Calibration(0.8, 0.9, bias))
        steps = torch.rand(3, 30, model.step_size)
        with torch.no_grad():
            np.testing.assert_allclose(left.of(biased.score(steps).numpy()), Calibration(0.8, 0.9, bias).of(model.score(steps).numpy()), atol=1e-5)
        self.assertEqual(left[:2], (0.8, 0.9))

    def test_a_long_pause_parts_utterances(self):
        heard = np.zeros(300)
        heard[10:60], heard[80:100], heard[130:140] = 1, 1, 1
        self.assertEqual([(int(a), int(b)) for a, b in utterances(heard)], [(10, 100), (130, 140)])
        self.assertEqual(utterances(np.zeros(9)), [])

    def test_windows_end_on_the_hop_with_enough_heard_of_late(self):
        heard = np.zeros(480)
        heard[10:80] = 1
        self.assertEqual(list(window_ends(heard)), [48, 72, 96])
        heard[10:80] = 0
        heard[10:41] = 1
        self.assertEqual(list(window_ends(heard)), [])

    def test_exports_graphs_whose_hashes_and_sizes_the_manifest_says(self):
        trainer, _ = self.run_of("export")
        (self.folder / "export" / "speakers.json").write_text(json.dumps({"train": sorted(set(self.train.speakers)), "test": sorted(set(self.test.speakers))}))
        out = self.folder / "model"
        command = [sys.executable, "training/export.py", "--run", str(self.folder / "export"), "--data", str(self.folder / "features"), "--version", "0.0.1"]
        report = subprocess.run([*command, "--out", str(out), "--apart", str(self.folder / "apart")], cwd=ROOT, check=True, capture_output=True, text=True)
        self.assertIn("uar", json.loads(report.stdout[report.stdout.index("{\n") :])["unseen"])
        manifest = json.loads((out / "manifest.json").read_text())
        self.assertEqual(manifest["contextFrames"], context_of(trainer.averaged))
        self.assertEqual(manifest["streaming"]["stateSize"], StreamingTrunk(trainer.averaged).state_size)
        int8 = [] if importlib.util.find_spec("onnx") is None else ["headInt8"]
        self.assertEqual(sorted(manifest["files"]), ["head", *int8, "trunk", "whole"])
        for file in manifest["files"].values():
            self.assertEqual(hashlib.sha256((out / file["path"]).read_bytes()).hexdigest(), file["sha256"])
        bias = json.loads(report.stdout[report.stdout.index("{\n") :])["bias"]
        self.assertAlmostEqual(sum(bias.values()), 0, delta=1e-3)
        self.assertGreater(max(map(abs, bias.values())), 0)
        # Of each unseen speaker a model that knows everyone else.
        apart = [json.loads((self.folder / "apart" / f"fold-{number}" / "speakers.json").read_text()) for number in range(len(set(self.test.speakers)))]
        self.assertEqual([fold["test"] for fold in apart], [[speaker] for speaker in sorted(set(self.test.speakers))])
        self.assertTrue(all(set(fold["train"]) == set(self.clips.speakers) - set(fold["test"]) for fold in apart))
        # With copies of the unseen speakers other temperatures come out, and no other figures.
        more = subprocess.run([*command, "--out", str(self.folder / "model-2"), "--copies", str(self.folder / "features")], cwd=ROOT, check=True, capture_output=True, text=True)
        reports = [json.loads(each.stdout[each.stdout.index("{\n") :]) for each in (report, more)]
        self.assertNotEqual(reports[0]["temperatures"], reports[1]["temperatures"])
        self.assertEqual(reports[0]["unseen"]["clips"], reports[1]["unseen"]["clips"])
        parity = json.loads((out / "parity.json").read_text())
        self.assertEqual((out / "parity-features.i16").stat().st_size, 2 * parity["batch"] * parity["frameCount"] * parity["featureCount"])


if __name__ == "__main__":
    unittest.main()
