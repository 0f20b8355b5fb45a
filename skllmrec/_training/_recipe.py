"""The settings of a training, and the optimiser, learning rates and mixed precision that follow from them."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SOLVERS = ("adamw", "adam", "rmsprop", "sgd")
SCHEDULES = ("linear", "cosine", "constant")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; equal recipes on equal models and batches give equal weights.

    The names are those of the parameters of estimators, see `training_constraints`.

    Parameters
    ----------
    max_iter : int
        Most epochs, which are passes over the batches.
    learning_rate_init : float
        The highest learning rate of the training.
    solver : {"adamw", "adam", "rmsprop", "sgd"}, default="adamw"
    momentum : float, default=0.9
        Nesterov momentum of "sgd".
    weight_decay : float, default=0.0
        Applied to parameters of two or more dimensions (matrices and embeddings, not biases and scales): decoupled
        for "adamw", added to the gradient for the others.
    warmup : float, default=0.0
        Share of the training in which the learning rate rises linearly from near zero.
    learning_rate : {"linear", "cosine", "constant"}, default="linear"
        Schedule of the learning rate after the warm-up: it falls to zero at the end of the training, along a line or
        half a cosine, or stays constant.
    clip_norm : float, default=None
        Gradients with a larger Euclidean norm (over all parameters) are scaled to this norm.
    gradient_accumulation : int, default=1
        Batches whose mean gradient makes one step.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Precision of the forward pass; parameters keep their dtype. "auto" is bfloat16 on an accelerator that supports
        it, else float32. "float16" scales the loss so that small gradients do not vanish.
    n_iter_no_change : int, default=None
        Stop after this many epochs in a row without a better validation score; None: never.
    tol : float, default=0.0
        A score is better when it exceeds the best one by more than this.
    keep_best : bool, default=True
        End with the weights of the best validation score, those before training included.
    rate_factors : dict, default={}
        Prefix of a parameter's name -> factor of its learning rate; the first prefix that matches is used.
    seed : int, default=0
        Seed of the order of the batches and of torch's random generators during the training.
    max_steps : int, default=None
        End after this many steps of the optimiser, also in the middle of an epoch, or after `max_iter` epochs,
        whichever comes first.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> from skllmrec._training import Recipe
    >>> recipe = Recipe(max_iter=4, learning_rate_init=0.1, warmup=0.25)
    >>> [round(recipe.rate_at(progress), 3) for progress in (0.125, 0.25, 0.625, 1.0)]
    [0.05, 0.1, 0.05, 0.0]
    """

    max_iter: int
    learning_rate_init: float
    solver: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: float = 0.0
    learning_rate: str = "linear"
    clip_norm: float | None = None
    gradient_accumulation: int = 1
    dtype: str = "auto"
    n_iter_no_change: int | None = None
    tol: float = 0.0
    keep_best: bool = True
    rate_factors: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    max_steps: int | None = None

    def __post_init__(self) -> None:
        choices = {"solver": SOLVERS, "learning_rate": SCHEDULES, "dtype": DTYPES}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown: choose one of {allowed}")
        ranges = {
            "max_iter": (self.max_iter >= 0, "must be at least 0"),
            "learning_rate_init": (0 < self.learning_rate_init < math.inf, "must be above 0 and finite"),
            "momentum": (0 <= self.momentum < 1, "must be in [0, 1)"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "must be at least 0 and finite"),
            "warmup": (0 <= self.warmup < 1, "must be in [0, 1)"),
            "clip_norm": (self.clip_norm is None or self.clip_norm > 0, "must be above 0 or None"),
            "gradient_accumulation": (self.gradient_accumulation >= 1, "must be at least 1"),
            "n_iter_no_change": (
                self.n_iter_no_change is None or self.n_iter_no_change >= 1,
                "must be at least 1 or None",
            ),
            "max_steps": (self.max_steps is None or self.max_steps >= 1, "must be at least 1 or None"),
            "tol": (self.tol >= 0, "must be at least 0"),
        }
        wrong = [f"{name}={getattr(self, name)!r} {rule}" for name, (holds, rule) in ranges.items() if not holds]
        if wrong:
            raise ValueError(f"invalid training parameters: {'; '.join(wrong)}")

    def rate_at(self, progress: float) -> float:
        """Compute the learning rate at a point of the training.

        Parameters
        ----------
        progress : float
            Share of the training that is done, between 0 and 1.

        Returns
        -------
        float
        """
        if progress < self.warmup:
            return self.learning_rate_init * progress / self.warmup
        left = (1 - progress) / (1 - self.warmup)  # 1 after the warm-up, 0 at the end
        shape = {"linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2, "constant": 1.0}
        return self.learning_rate_init * shape[self.learning_rate]

    def make_optimizer(self, parameters: "dict[str, torch.Tensor]") -> "torch.optim.Optimizer":
        """Build the optimiser.

        Parameters
        ----------
        parameters : dict of str to torch.Tensor
            By name; all require gradients.

        Returns
        -------
        torch.optim.Optimizer
            Each group has the factor of its learning rate as ``group["factor"]``.
        """
        from torch import optim

        members: dict[tuple[float, float], list] = {}  # few groups: a fused step handles each of them in one call
        for name, tensor in parameters.items():
            members.setdefault((self._factor(name), self.weight_decay * (tensor.ndim > 1)), []).append(tensor)
        groups: list[Any] = [
            {"params": tensors, "factor": factor, "weight_decay": weight_decay}
            for (factor, weight_decay), tensors in members.items()
        ]
        if self.solver == "rmsprop":
            return optim.RMSprop(groups, lr=self.learning_rate_init)
        # fused: on small models most of the time of a step is the update of the parameters
        if self.solver == "sgd":
            nesterov = self.momentum > 0
            return optim.SGD(groups, lr=self.learning_rate_init, momentum=self.momentum, nesterov=nesterov, fused=True)
        kind = optim.AdamW if self.solver == "adamw" else optim.Adam
        return kind(groups, lr=self.learning_rate_init, fused=True)

    def _factor(self, name):
        return next((factor for start, factor in self.rate_factors.items() if name.startswith(start)), 1.0)

    def make_precision(
        self, device: "torch.device"
    ) -> "tuple[Callable[[], AbstractContextManager], torch.amp.GradScaler]":
        """Build the context manager and the loss scaler of mixed precision.

        Parameters
        ----------
        device : torch.device

        Returns
        -------
        autocast : callable
            Returns the context manager of one forward pass.
        scaler : torch.amp.GradScaler
            Disabled unless the dtype is float16.
        """
        import torch

        dtype = self.dtype
        if dtype == "auto":
            has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
            dtype = "bfloat16" if has_bfloat16 else "float32"
        scaler = torch.amp.GradScaler(device.type, enabled=dtype == "float16")
        if dtype == "float32":
            return nullcontext, scaler
        return lambda: torch.autocast(device.type, getattr(torch, dtype)), scaler
