"""What moves the weights, on one schedule: AdamW, and Muon for the network's matrices where the recipe says so."""

import torch

# One kernel for all weights where the library has it on the CPU.
FUSED = {"fused": True} if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4) else {}
# The last layers, whose rows stand for classes or nothing at all, are AdamW's in any case (Jordan et al. 2024).
LAST = ("attention.2.weight", "head.5.weight")
# Of the quintic that drives singular values towards 1, five times over (Jordan et al. 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# AdamW's steps are about so large, by their root mean square, in units of the rate (Liu et al. 2025).
ADAM_RMS = 0.2


class Optimizing:
    """One step of all weights after another. `beside`: modules that learn beside the network and are left behind."""

    def __init__(self, recipe, network, beside, total):
        muons = muons_of(network) if recipe.muon > 0 else []
        others = {id(p) for group in muons for p in group["params"]}
        every = [p for module in (network, *beside) for p in module.parameters() if id(p) not in others]
        # Decay spares what is one-dimensional: biases and norms.
        matrices, vectors = [p for p in every if p.ndim > 1], [p for p in every if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizers = [torch.optim.AdamW(groups, lr=recipe.lr, **FUSED)]
        if muons:
            self.optimizers.append(Muon(muons, recipe.muon * recipe.lr, recipe.weight_decay))
        cycled = {"total_steps": total + 1, "pct_start": 0.15, "div_factor": 10}
        rates = (recipe.lr, recipe.muon * recipe.lr)
        # Muon has one momentum throughout.
        self.schedules = [
            torch.optim.lr_scheduler.OneCycleLR(each, rate, cycle_momentum=not isinstance(each, Muon), **cycled) for each, rate in zip(self.optimizers, rates)
        ]

    @property
    def taken(self):
        """Steps so far."""
        return self.schedules[0].last_epoch

    def zero_grad(self):
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def step(self):
        for optimizer, schedule in zip(self.optimizers, self.schedules):
            optimizer.step()
            schedule.step()

    def state_dict(self):
        return {"optimizers": [each.state_dict() for each in self.optimizers], "schedules": [each.state_dict() for each in self.schedules]}

    def load_state_dict(self, state):
        for own, saved in zip((*self.optimizers, *self.schedules), (*state["optimizers"], *state["schedules"])):
            own.load_state_dict(saved)


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal: a step moves all directions of a matrix alike, not those alone that most gradients share.

    A weight `[outputs, ...]` is a matrix with a row for each output; of a group with `parts`, so many matrices one above the other.
    """

    def __init__(self, groups, lr, weight_decay, momentum=0.95):
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "parts": 1})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, momentum, parts = group["lr"], group["momentum"], group["parts"]
            # Matrices of one shape together: they are small.
            alike = {}
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["average"] = torch.zeros_like(weight)
                average = state["average"]
                average.lerp_(weight.grad, 1 - momentum)
                # Nesterov's: where the average will be after another such gradient.
                step = torch.lerp(weight.grad, average, momentum).reshape(parts, weight.shape[0] // parts, -1)
                alike.setdefault(step.shape, []).append((weight, step))
            for shape, pairs in alike.items():
                size = lr * ADAM_RMS * max(shape[1:]) ** 0.5
                steps = orthogonal(torch.cat([step for _, step in pairs])).split(parts)
                for (weight, _), step in zip(pairs, steps):
                    weight.mul_(1 - lr * group["weight_decay"]).sub_(step.reshape(weight.shape), alpha=size)


def muons_of(network):
    """Muon's groups: the matrices of all layers but the last ones; an LSTM's are four, one for each gate."""
    matrices = [(name, p) for name, p in network.named_parameters() if p.ndim > 1 and name not in LAST]
    gates = [p for name, p in matrices if name.startswith("lstm.")]
    return [{"params": [p for name, p in matrices if not name.startswith("lstm.")]}, {"params": gates, "parts": 4}]


def orthogonal(matrices):
    """`[N, rows, columns]` with about the same singular vectors, and singular values of 0.7 to 1.2."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x
