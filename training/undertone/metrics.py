"""Figures of merit: recall, calibration, and the temperature that calibrates."""

import numpy as np
import torch

from .data import LABELS


# Chosen by the UAR of unseen speakers on whom it was not fitted, clean, as new callers and in copies: docs/experiments.md.
BIAS_RIDGE = 0.1


def softmax(logits):
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def recalls(labels, predicted):
    """Recall of each class that occurs, by name."""
    return {name: float((predicted[labels == i] == i).mean()) for i, name in enumerate(LABELS) if (labels == i).any()}


def uar(labels, predicted):
    """Unweighted average recall over the classes that occur."""
    return float(np.mean(list(recalls(labels, predicted).values())))


def calibration_error(labels, probabilities, bins=15):
    """Expected calibration error of the leading class, equal-width bins."""
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    edges = np.clip((confidence * bins).astype(int), 0, bins - 1)
    return float(sum(abs(correct[edges == b].sum() - confidence[edges == b].sum()) for b in range(bins)) / len(labels))


def fit_temperature(labels, logits, weight):
    """The temperature that minimises the weighted negative log-likelihood, between 1/20 and 20."""
    return fit(labels, logits, weight, biased=False)[0]


def fit(labels, logits, weight, biased):
    """(temperature, bias `[6]`) of `softmax(logits / temperature + bias)` that minimise the weighted negative log-likelihood.

    The temperature lies between 1/20 and 20; biases sum to 0, and are 0 unless `biased` (C. Guo et al., ICML 2017, section 4.2:
    a temperature, and the bias of their vector scaling). Their squares count with `BIAS_RIDGE`: whole, they leaned too far the other way in noise.
    """
    labels, logits, weight = torch.as_tensor(labels), torch.as_tensor(logits), torch.as_tensor(weight)
    log_temperature, free = torch.zeros(1, requires_grad=True), torch.zeros(logits.shape[1], requires_grad=biased)
    optimizer = torch.optim.LBFGS([log_temperature, *([free] if biased else [])], max_iter=100, line_search_fn="strong_wolfe")
    most = float(np.log(20))

    def closure():
        optimizer.zero_grad()
        nll = torch.nn.functional.cross_entropy(logits / log_temperature.clamp(-most, most).exp() + free - free.mean(), labels, reduction="none")
        bias = free - free.mean()
        loss = (nll * weight).sum() / weight.sum() + BIAS_RIDGE * bias.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(log_temperature.detach().clamp(-most, most).exp()), (free - free.mean()).detach().numpy()


def macro_f1(labels, predicted):
    """Mean F1 over the classes that occur."""
    scores = []
    for label in np.unique(labels):
        hit = ((predicted == label) & (labels == label)).sum()
        scores.append(2 * hit / ((predicted == label).sum() + (labels == label).sum()))
    return float(np.mean(scores))
