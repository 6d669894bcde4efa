"""Trains the network, and says how well it tells speech."""

import numpy as np
import torch
import torch.nn.functional as F

from vad.data import NOT_ASKED
from vad.network import VoiceNetwork

EDGE_FRAMES = 12


def fit(tracks, inputs, epochs, steps, batch, lr, seed, dense=24, hidden=24, report=print):
    """One run from a seed; returns the network after the last epoch. Stretches begin without a past."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = VoiceNetwork(inputs, dense, hidden)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-3)
    total = epochs * max(1, len(tracks.stretches(steps, torch.Generator().manual_seed(seed))) // batch) + epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=total, pct_start=0.1)
    for epoch in range(epochs):
        places = tracks.stretches(steps, generator)
        losses = []
        for at in range(0, len(places) - batch + 1, batch):
            x, y = tracks.batch(places[at : at + batch], steps)
            logits, _ = network(x)
            asked = y != NOT_ASKED
            loss = F.binary_cross_entropy_with_logits(logits[asked], y[asked].float(), weight=edge_weights(y)[asked])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            if schedule.last_epoch < total - 1:
                schedule.step()
            losses.append(loss.item())
        report(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}")
    return network


def edge_weights(targets):
    """Of targets `[B, T, 2]`: 2 within about 120 ms of where speech begins or ends, for there it matters most, else 1."""
    flat = (targets == 1).float().flatten(1)
    edges = F.pad((flat[:, 1:] - flat[:, :-1]).abs(), (1, 0))
    near = F.max_pool1d(edges[:, None], 2 * EDGE_FRAMES + 1, stride=1, padding=EDGE_FRAMES)[:, 0]
    return 1 + near.reshape(targets.shape)


@torch.no_grad()
def answers(network, tracks):
    """Probabilities and targets of each caller, each heard from its beginning: `[frames]` and `[frames]`, those asked alone."""
    for first, count in tracks.spans:
        x, y = tracks.batch([first], count)
        probability = torch.sigmoid(network(x)[0])
        asked = y != NOT_ASKED
        yield probability[asked].numpy(), y[asked].numpy()


def auc(scores, labels):
    """Area under the ROC curve: how often a frame of speech has the higher score (Mann and Whitney), ties counting half."""
    order = np.argsort(scores, kind="stable")
    _, group, sizes = np.unique(scores[order], return_inverse=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    ones = int(labels.sum())
    return (ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(labels) - ones))


def recall_at(scores, labels, false_alarms=0.05):
    """Share of the speech that is found where so much of the rest is taken for it."""
    threshold = np.quantile(scores[labels == 0], 1 - false_alarms)
    return float((scores[labels == 1] > threshold).mean())
