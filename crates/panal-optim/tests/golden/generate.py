"""Makes optimizers.json and schedules.json beside it: `python generate.py`, with torch 2.11.0.

SGD and AdamW are torch.optim's in single precision; LARS, which torch has not, is written out here in double precision.
"""

import json
import pathlib

import torch

HERE = pathlib.Path(__file__).parent
STEPS = 12
RATES = [0.1, 0.05, 0.1, 0.2, 0.025, 0.1, 0.1, 0.0, 0.3, 0.1, 0.01, 0.15]
torch.set_num_threads(1)


def case(name, make, dtype=torch.float32, zeros=(), **settings):
    """A small problem: y = tanh(x w^T + b) * s, mean squared error; w is 3x5, b and s are of one dimension; s gets no gradient in steps 4 to 6."""
    g = torch.Generator().manual_seed(7)
    x = torch.randn(11, 5, generator=g)
    y = torch.randn(11, 3, generator=g)
    params = {
        "w": torch.randn(3, 5, generator=g),
        "b": torch.randn(3, generator=g),
        "s": torch.randn(3, generator=g),
    }
    params.update({k: torch.zeros_like(params[k]) for k in zeros})
    start = {k: v.flatten().tolist() for k, v in params.items()}
    inputs, targets = x.to(dtype), y.to(dtype)
    params = {k: v.to(dtype).requires_grad_() for k, v in params.items()}
    optimizer = make(params)
    after = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATES[step] * group["scale"]
        optimizer.zero_grad(set_to_none=True)
        s = params["s"].detach() if 4 <= step < 7 else params["s"]
        loss = ((torch.tanh(inputs @ params["w"].T + params["b"]) * s - targets) ** 2).mean()
        loss.backward()
        optimizer.step()
        after.append({k: [round(v, 9) if dtype == torch.float64 else v for v in p.detach().flatten().tolist()] for k, p in params.items()})
    return {"name": name, **settings, "x": x.flatten().tolist(), "y": y.flatten().tolist(), "start": start, "after": after}


def groups(params, decay, bias_and_norm=True, b_scale=1.0):
    """One torch group for each parameter, so that each can have its own decay and scale."""
    return [
        {"params": [p], "weight_decay": decay if bias_and_norm or p.dim() > 1 else 0.0, "scale": b_scale if k == "b" else 1.0}
        for k, p in params.items()
    ]


def sgd(name, spec, b_scale=1.0):
    momentum, decay = spec["momentum"], spec.get("weight_decay", 0.0)
    make = lambda params: torch.optim.SGD(
        groups(params, decay, spec.get("decay_bias_and_norm", True), b_scale),
        lr=1.0, momentum=momentum, nesterov=spec.get("nesterov", False), foreach=False,
    )
    return case(name, make, spec={"kind": "sgd", **spec}, b_scale=b_scale)


def adamw(name, spec, b_scale=1.0):
    make = lambda params: torch.optim.AdamW(
        groups(params, spec.get("weight_decay", 0.01), spec.get("decay_bias_and_norm", True), b_scale),
        lr=1.0, betas=(spec.get("beta1", 0.9), spec.get("beta2", 0.999)), eps=spec.get("eps", 1e-8), foreach=False,
    )
    return case(name, make, spec={"kind": "adamw", **spec}, b_scale=b_scale)


class Lars:
    """LARS with classic momentum, in double precision, written from the equations and not with torch.optim."""

    def __init__(self, params, momentum, nesterov, decay, trust, exclude, b_scale):
        self.momentum, self.nesterov, self.decay, self.trust, self.exclude = momentum, nesterov, decay, trust, exclude
        self.param_groups = [{"p": p, "b": None, "scale": b_scale if k == "b" else 1.0} for k, p in params.items()]

    def zero_grad(self, set_to_none):
        for group in self.param_groups:
            group["p"].grad = None

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            p = group["p"]
            if p.grad is None:
                continue
            excluded = self.exclude and p.dim() <= 1
            g = p.grad if excluded else p.grad + self.decay * p
            norm_p, norm_g = ((v * v).sum().sqrt().item() for v in (p, g))
            ratio = 1.0 if excluded or norm_p == 0 or norm_g == 0 else self.trust * norm_p / norm_g
            new = group["lr"] * ratio * g
            group["b"] = new if group["b"] is None else self.momentum * group["b"] + new
            p -= new + self.momentum * group["b"] if self.nesterov else group["b"]


def lars(name, spec, b_scale=1.0, zeros=()):
    make = lambda params: Lars(
        params, spec.get("momentum", 0.9), spec.get("nesterov", False), spec.get("weight_decay", 1e-6),
        spec.get("trust_coefficient", 0.001), spec.get("exclude_bias_and_norm", True), b_scale,
    )
    return case(name, make, dtype=torch.float64, zeros=zeros, spec={"kind": "lars", **spec}, b_scale=b_scale)


def rates(make, steps):
    """Learning rates for a base rate of 1, before each of so many steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    out = []
    for _ in range(steps):
        out.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return out


def cosine(epochs, n, warmup, floor):
    lr = torch.optim.lr_scheduler
    total, rise = epochs * n, warmup * n
    fall = lambda o: lr.CosineAnnealingLR(o, T_max=total - rise, eta_min=floor)
    both = lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 1 / rise, total_iters=rise - 1), fall(o)], milestones=[rise])
    return {
        "spec": {"kind": "cosine", "warmup_epochs": warmup, "floor": floor},
        "epochs": epochs, "steps_per_epoch": n, "per_epoch": False, "rates": rates(both if warmup else fall, total),
    }


def step(epochs, every, gamma):
    make = lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=every, gamma=gamma)
    return {
        "spec": {"kind": "step", "every": every, "gamma": gamma},
        "epochs": epochs, "steps_per_epoch": 3, "per_epoch": True, "rates": rates(make, epochs),
    }


optimizers = [
    sgd("plain", {"momentum": 0.0}),
    sgd("plain with decay", {"momentum": 0.0, "weight_decay": 0.02}),
    sgd("momentum", {"momentum": 0.9}),
    sgd("momentum with decay", {"momentum": 0.8, "weight_decay": 0.05}),
    sgd("nesterov", {"momentum": 0.9, "nesterov": True}),
    sgd("nesterov, weights decay", {"momentum": 0.7, "nesterov": True, "weight_decay": 0.1, "decay_bias_and_norm": False}, b_scale=0.3),
    adamw("adamw", {}),
    adamw("adamw with other settings", {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.3}, b_scale=2.0),
    adamw("adamw, weights decay", {"weight_decay": 0.2, "decay_bias_and_norm": False}),
    lars("lars", {}),
    lars("lars with other settings", {"momentum": 0.8, "weight_decay": 0.1, "trust_coefficient": 0.4}, b_scale=0.5),
    lars("lars, nesterov, all adapted", {"nesterov": True, "weight_decay": 0.05, "trust_coefficient": 0.2, "exclude_bias_and_norm": False}),
    lars("lars without momentum, from zero", {"momentum": 0.0, "weight_decay": 0.02, "trust_coefficient": 0.5}, zeros=("w",)),
]
schedules = [
    step(16, 7, 0.1), step(9, 1, 0.5), step(5, 2, 1.0), step(3, 8, 0.1),
    cosine(4, 5, 0, 0.0), cosine(4, 5, 1, 0.0), cosine(5, 3, 2, 0.05), cosine(3, 7, 1, 1.0),
]
(HERE / "optimizers.json").write_text(json.dumps({"rates": RATES, "cases": optimizers}) + "\n")
(HERE / "schedules.json").write_text(json.dumps(schedules) + "\n")
