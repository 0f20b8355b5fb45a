"""How a model is trained: the numbers of a training, the optimiser and the learning rate they stand for."""

import math
from contextlib import nullcontext
from dataclasses import dataclass, field

OPTIMIZERS = ("adamw", "adam", "rmsprop", "sgd")
SCHEDULES = ("linear", "cosine", "constant")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training; equal recipes on equal models and batches give equal weights.

    Parameters
    ----------
    n_epochs : int
        Passes over the batches.
    learning_rate : float
        The highest of the training.
    optimizer : {"adamw", "adam", "rmsprop", "sgd"}, default="adamw"
    momentum : float, default=0.9
        Nesterov momentum of "sgd".
    weight_decay : float, default=0.0
        Applied to parameters of two or more dimensions (matrices and embeddings, not biases and scales): decoupled
        for "adamw", added to the gradient for the others.
    warmup : float, default=0.0
        Share of the training in which the learning rate rises linearly from near zero.
    schedule : {"linear", "cosine", "constant"}, default="linear"
        How the learning rate goes on: down to zero at the end, along a line or half a cosine, or not at all.
    clip_norm : float, default=None
        Gradients of a greater Euclidean norm (over all parameters) are shortened to it.
    accumulate : int, default=1
        Batches whose mean gradient makes one step.
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Of the forward pass; parameters stay as they are. "auto" is bfloat16 on an accelerator that has it, else
        float32. "float16" scales the loss so that small gradients survive.
    patience : int, default=None
        Stop after this many epochs in a row without a better validation score.
    min_gain : float, default=0.0
        A score is better when it exceeds the best one by more than this.
    keep_best : bool, default=True
        End with the weights of the best validation score, those before training included.
    rate_factors : dict, default={}
        Beginning of a parameter's name -> factor of its learning rate; the first that fits counts.
    seed : int, default=0
        Of the order of the batches and of all randomness of torch during the training.
    max_steps : int, default=None
        End after this many steps of the optimiser, if need be within an epoch, or after `n_epochs`, whichever comes
        first.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> from skllmrec._training import Recipe
    >>> recipe = Recipe(n_epochs=4, learning_rate=0.1, warmup=0.25)
    >>> [round(recipe.rate_at(progress), 3) for progress in (0.125, 0.25, 0.625, 1.0)]
    [0.05, 0.1, 0.05, 0.0]
    """

    n_epochs: int
    learning_rate: float
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: float = 0.0
    schedule: str = "linear"
    clip_norm: float | None = None
    accumulate: int = 1
    precision: str = "auto"
    patience: int | None = None
    min_gain: float = 0.0
    keep_best: bool = True
    rate_factors: dict = field(default_factory=dict)
    seed: int = 0
    max_steps: int | None = None

    def __post_init__(self):
        choices = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown: choose one of {allowed}")
        ranges = {
            "n_epochs": self.n_epochs >= 0,
            "learning_rate": 0 < self.learning_rate < math.inf,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "warmup": 0 <= self.warmup < 1,
            "clip_norm": self.clip_norm is None or self.clip_norm > 0,
            "accumulate": self.accumulate >= 1,
            "patience": self.patience is None or self.patience >= 1,
            "max_steps": self.max_steps is None or self.max_steps >= 1,
            "min_gain": self.min_gain >= 0,
        }
        wrong = [f"{name}={getattr(self, name)!r}" for name, holds in ranges.items() if not holds]
        if wrong:
            raise ValueError(f"a training cannot have {', '.join(wrong)}: out of range")

    def rate_at(self, progress):
        """Learning rate at a point of the training.

        Parameters
        ----------
        progress : float
            Share of the training that is done, between 0 and 1.

        Returns
        -------
        float
        """
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        left = (1 - progress) / (1 - self.warmup)  # 1 after the warm-up, 0 at the end
        shape = {"linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2, "constant": 1.0}
        return self.learning_rate * shape[self.schedule]

    def make_optimizer(self, parameters):
        """Build the optimiser.

        Parameters
        ----------
        parameters : dict of str to torch.Tensor
            By name; all of them require gradients.

        Returns
        -------
        torch.optim.Optimizer
            Each group has the factor of its learning rate as ``group["factor"]``.
        """
        from torch import optim

        members = {}  # few groups: a fused step goes through each of them at once
        for name, tensor in parameters.items():
            members.setdefault((self._factor(name), self.weight_decay * (tensor.ndim > 1)), []).append(tensor)
        groups = [
            {"params": tensors, "factor": factor, "weight_decay": weight_decay}
            for (factor, weight_decay), tensors in members.items()
        ]
        if self.optimizer == "rmsprop":
            return optim.RMSprop(groups, lr=self.learning_rate)
        # one fused pass over the parameters: on small models most of a step is this
        if self.optimizer == "sgd":
            nesterov = self.momentum > 0
            return optim.SGD(groups, lr=self.learning_rate, momentum=self.momentum, nesterov=nesterov, fused=True)
        kind = optim.AdamW if self.optimizer == "adamw" else optim.Adam
        return kind(groups, lr=self.learning_rate, fused=True)

    def _factor(self, name):
        return next((factor for start, factor in self.rate_factors.items() if name.startswith(start)), 1.0)

    def make_precision(self, device):
        """Build what mixed precision needs.

        Parameters
        ----------
        device : torch.device

        Returns
        -------
        autocast : callable
            Returns the context manager of one forward pass.
        scaler : torch.amp.GradScaler
            Does nothing unless the precision is float16.
        """
        import torch

        precision = self.precision
        if precision == "auto":
            has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
            precision = "bfloat16" if has_bfloat16 else "float32"
        scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
        if precision == "float32":
            return nullcontext, scaler
        return lambda: torch.autocast(device.type, getattr(torch, precision)), scaler
