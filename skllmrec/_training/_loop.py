"""The training loop, and its state from step to step."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._progress import progress_bar
from skllmrec._training._checkpoint import Checkpoint
from skllmrec._training._recipe import Recipe
from skllmrec.exceptions import CheckpointError, DivergenceError

if TYPE_CHECKING:
    import torch


@dataclass
class Training:
    """State of a training, and its result once it is finished.

    Attributes
    ----------
    epoch : int
        Completed epochs.
    position : int
        Completed batches of the current epoch.
    step : int
        Completed steps of the optimiser.
    sums : dict of str to float
        Sums over the batches of the current epoch: the loss and the other numbers that the loss function returned.
    learning_rate : float
        Learning rate of the last step.
    history : list of dict
        One record for each epoch, see `train`.
    best_epoch : int or None
        Epoch of the best validation score, 0 for the weights before training; None without validation.
    best_score : float or None
        The best validation score.
    finished : bool
        Whether the training is finished.
    """

    epoch: int = 0
    position: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    learning_rate: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int | None = None
    best_score: float | None = None
    finished: bool = False


def train(
    model: "torch.nn.Module | dict[str, torch.Tensor]",
    batches: Callable[[np.random.Generator], Sequence[Any]],
    loss: Callable[[Any], Any],
    recipe: Recipe,
    *,
    validate: Callable[[], Any] | None = None,
    callbacks: Sequence[Callable[[dict[str, Any]], Any]] = (),
    checkpoint: Checkpoint | None = None,
    description: str = "training",
    verbose: bool | int = False,
) -> Training:
    """Train a model in place by gradient descent.

    Randomness depends on the seed alone: the order of an epoch's batches comes from ``default_rng([seed, epoch])``, all
    else from torch's own generators, which are seeded at the start and restored at the end. A training that is resumed
    from a checkpoint therefore ends with the same weights as one without an interruption.

    Parameters
    ----------
    model : torch.nn.Module or dict of str to torch.Tensor
        Parameters that require gradients are trained, on the device where they are. A module is in training mode
        during the epochs, in evaluation mode during validation, and in its former mode afterwards.
    batches : callable
        ``batches(rng) -> sequence``: the batches of one epoch, in an order that depends on the numpy generator alone.
        A batch is a cheap description, such as row numbers (see `index_batches`), because a resumed epoch skips the
        completed ones. An epoch may be a part of the data, for more frequent validation and records.
    loss : callable
        ``loss(batch) -> tensor``, the mean loss of a batch; or ``(tensor, dict)`` with further numbers to report,
        such as the losses of several objectives.
    recipe : Recipe
        Optimiser, learning rate, number of epochs and so on.
    validate : callable, default=None
        ``validate() -> float``, greater is better, before training and after each epoch, without gradients; or a dict
        with the entry "score" and further numbers to report.
    callbacks : sequence of callable, default=()
        ``callback(record)`` after each epoch; a true return value stops the training. A record holds "epoch", "step",
        the means over the epoch of "loss" and the other numbers of the loss function, the "learning_rate" at the end,
        the "score" and the other numbers of the validation, and the "seconds" it took. With validation, epoch 0,
        before training, has a record.
    checkpoint : Checkpoint, default=None
        Folder that the training is saved to and resumed from.
    description : str, default="training"
        Shown beside the progress bar.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    Training
        With the records as ``history``.

    Raises
    ------
    DivergenceError
        If a loss or a parameter is not finite.
    CheckpointError
        If the checkpoint is damaged or belongs to another configuration.
    ValueError
        If nothing can be trained, an epoch has no batches, the score is nan.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._training import Recipe, index_batches, train
    >>> x = torch.linspace(-1, 1, 64)
    >>> line = {"slope": torch.zeros((), requires_grad=True), "offset": torch.zeros((), requires_grad=True)}
    >>> def squared_error(rows):
    ...     return (line["slope"] * x[rows] + line["offset"] - (2 * x[rows] + 1)).square().mean()
    >>> recipe = Recipe(max_iter=40, learning_rate_init=0.1, solver="adam")
    >>> training = train(line, index_batches(64, 16), squared_error, recipe)
    >>> round(line["slope"].item(), 1), round(line["offset"].item(), 1), training.step
    (2.0, 1.0, 160)
    """
    run = _Run(model, recipe, checkpoint, callbacks)
    n_steps = run.count_steps(batches) if verbose else 0
    progress = progress_bar(n_steps, description=description, unit="steps", enabled=bool(verbose))
    with run.isolated() as state, progress as advance:
        advance(state.step)
        if validate is not None and not state.history:
            run.end_epoch(validate, 0)  # the weights before training are a candidate as well
        while state.epoch < recipe.max_iter and not run.stopped:
            plan = run.plan(batches)
            while state.position < len(plan):
                run.mark()
                group = plan[state.position : state.position + recipe.gradient_accumulation]
                sums: dict[str, float] = {}
                run.set_rate((state.position + len(group) / 2) / len(plan))
                for batch in group:
                    value = run.forward(loss, batch, sums)
                    run.scaler.scale(value / len(group)).backward()
                run.check(sums["loss"])
                run.update(len(group), sums)
                advance()
            run.end_epoch(validate, state.epoch + 1)
        run.finish()
    return state


class _Run:
    """The parts of the loop: parameters, optimiser, best weights, random generators, checkpoint."""

    def __init__(self, model, recipe, checkpoint, callbacks):
        self.is_module = not isinstance(model, dict)
        self.model, self.recipe, self.checkpoint, self.callbacks = model, recipe, checkpoint, callbacks
        named = dict(model.named_parameters()) if self.is_module else model
        self.trained = {name: tensor for name, tensor in named.items() if tensor.requires_grad}
        if not self.trained:
            raise ValueError("no parameter of the model requires gradients: there is nothing to train")
        # buffers, such as running means, change during a training as well
        self.kept = {**self.trained, **(dict(model.named_buffers()) if self.is_module else {})}
        self.device = next(iter(self.trained.values())).device
        self.optimizer = recipe.make_optimizer(self.trained)
        self.autocast, self.scaler = recipe.make_precision(self.device)
        self.state, self.best, self.marked = Training(), {}, None
        self.started, self.last_write, self.stopped = time.monotonic(), 0, False

    # -- before and after ---------------------------------------------------------------------------------------

    @contextmanager
    def isolated(self):
        """Isolate random generators and modes, write a checkpoint on an interrupt; yields the state to start from."""
        import torch

        accelerators = [] if self.device.type == "cpu" else range(torch.accelerator.device_count())
        modes = [(module, module.training) for module in self.model.modules()] if self.is_module else []
        kind = "cuda" if self.device.type == "cpu" else self.device.type
        with torch.random.fork_rng(accelerators, device_type=kind):
            torch.manual_seed(self.recipe.seed)
            try:
                self.resume()
                yield self.state
            except KeyboardInterrupt:
                if self.checkpoint is not None and self.marked is not None:
                    self.write()
                raise
            finally:
                self.optimizer.zero_grad(set_to_none=True)
                for module, mode in modes:
                    module.training = mode

    def resume(self):
        """Restore the state that a checkpoint holds."""
        saved = None if self.checkpoint is None else self.checkpoint.read(self.configuration())
        if saved is None:
            return
        tensors, state = saved
        scaler = state.pop("scaler")
        for name, value in state.items():
            setattr(self.state, name, value)
        parts = {}
        for name, tensor in tensors.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = tensor
        self._check_parts(parts)
        _copy(parts["model"], self.kept)
        self.best = {name: tensor.to(self.device) for name, tensor in parts.get("best", {}).items()}
        self.last_write, self.stopped = self.state.step, self.state.finished
        self.stopped |= self._is_over()
        if not self.state.finished:
            self._load_optimizer(parts.get("optimizer", {}))
            _set_random_states(parts["random"], self.device)
            if scaler:
                self.scaler.load_state_dict(scaler)

    def _check_parts(self, parts):
        """Raise an error where the file lacks tensors that a training goes on from."""
        wanted = [("model", name) for name in self.kept]
        wanted += [("best", name) for name in self.kept if parts.get("best")]
        wanted += [] if self.state.finished else [("random", "cpu")]
        lacking = [f"{part}/{name}" for part, name in wanted if name not in parts.get(part, {})]
        if lacking:
            raise CheckpointError(
                f"{self.checkpoint.path} lacks {len(lacking)} of its arrays, e.g. {lacking[0]!r}: it is damaged, "
                "delete it to start anew"
            )

    def _load_optimizer(self, tensors):
        states = {}
        for name, tensor in tensors.items():
            index, _, key = name.partition("/")
            states.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": states})

    def configuration(self):
        """Return the configuration that a checkpoint must have."""
        shapes = {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in self.kept.items()}
        return {"recipe": asdict(self.recipe), "parameters": shapes}

    def finish(self):
        """End with the best weights."""
        if self.recipe.keep_best and self.best:
            _copy(self.best, self.kept)
        if not self.state.finished:
            self.state.finished = True
            if self.checkpoint is not None:
                self.write()

    # -- a step -------------------------------------------------------------------------------------------------

    def count_steps(self, batches):
        """Count the steps of the whole training, assuming that all epochs have as many as the first one."""
        n_batches = len(batches(np.random.default_rng([self.recipe.seed, 0])))
        n_steps = self.recipe.max_iter * math.ceil(n_batches / self.recipe.gradient_accumulation)
        return n_steps if self.recipe.max_steps is None else min(n_steps, self.recipe.max_steps)

    def plan(self, batches):
        """Return the batches of the current epoch in order."""
        if self.is_module:
            self.model.train()
        plan = batches(np.random.default_rng([self.recipe.seed, self.state.epoch]))
        if len(plan) == 0:
            raise ValueError(f"epoch {self.state.epoch + 1} has no batches: there is nothing to learn from")
        n_steps = math.inf if self.recipe.max_steps is None else self.recipe.max_steps - self.state.step
        return plan[: min(self.state.position + n_steps * self.recipe.gradient_accumulation, len(plan))]

    def set_rate(self, epoch_progress):
        """Set the learning rate of a step."""
        progress = (self.state.epoch + epoch_progress) / self.recipe.max_iter
        if self.recipe.max_steps is not None:  # the limit that is reached first
            progress = max(progress, (self.state.step + 0.5) / self.recipe.max_steps)
        self.state.learning_rate = self.recipe.rate_at(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.state.learning_rate * group["factor"]

    def forward(self, loss, batch, sums):
        """Compute the loss of a batch, and add it and its further numbers to `sums`."""
        with self.autocast():
            value = loss(batch)
        value, numbers = value if isinstance(value, tuple) else (value, {})
        for name, number in {"loss": value.detach(), **numbers}.items():
            sums[name] = sums.get(name, 0.0) + float(number)
        return value

    def check(self, loss):
        """Raise an error for a loss that is not finite."""
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss is {loss} at step {self.state.step + 1}, in epoch {self.state.epoch + 1}, at a learning "
                f"rate of {self.state.learning_rate:.3g}: lower the learning rate, warm it up, or clip the gradients; "
                "if this is the first step, look for values that are not finite in the data"
            )

    def update(self, n_batches, sums):
        """Take one step of the optimiser; an interrupt in here does not write a checkpoint."""
        import torch

        self.marked = None
        if self.recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.trained.values(), self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        self.state.position += n_batches
        for name, value in sums.items():
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value

    # -- an epoch -----------------------------------------------------------------------------------------------

    def end_epoch(self, validate, epoch):
        """Validate, store the best weights and call the callbacks; then the epoch is complete."""
        state = self.state
        self.mark()  # after an interrupt from here on, only these steps are repeated
        self._check_parameters(epoch)
        record = {"epoch": epoch, "step": state.step}
        if epoch > 0:
            record |= {name: value / state.position for name, value in state.sums.items()}
            record["learning_rate"] = state.learning_rate
        if validate is not None:
            record |= self._validated(validate, epoch)
        record["seconds"] = time.monotonic() - self.started
        asked_to_stop = [callback(record) for callback in self.callbacks]
        self.marked, self.started = None, time.monotonic()
        state.epoch, state.position, state.sums = epoch, 0, {}
        state.history.append(record)
        self.stopped = any(asked_to_stop) or self._is_over()
        self.mark(write=True)

    def _check_parameters(self, epoch):
        """Raise an error for weights that are not finite: the loss of the last step was computed before its update."""
        import torch

        for name, tensor in self.trained.items():
            if not torch.isfinite(tensor).all():
                raise DivergenceError(
                    f"parameter {name!r} is not finite after epoch {epoch} (step {self.state.step}, learning rate "
                    f"{self.state.learning_rate:.3g}): lower the learning rate, warm it up, or clip the gradients"
                )

    def _validated(self, validate, epoch):
        """Compute the score of the current weights, and copy them if they are the best."""
        import torch

        if self.is_module:
            self.model.eval()
        with torch.no_grad():
            result = validate()
        result = result if isinstance(result, dict) else {"score": result}
        record = {name: value.item() if hasattr(value, "item") else value for name, value in result.items()}
        state, score = self.state, record["score"]
        if math.isnan(score):
            raise ValueError(f"the validation score is nan after epoch {epoch}: it must be a number")
        if state.best_score is None or score > state.best_score + self.recipe.tol:
            state.best_epoch, state.best_score = epoch, score
            if self.recipe.keep_best:
                self.best = {name: tensor.detach().clone() for name, tensor in self.kept.items()}
        return record

    def _is_over(self):
        """Whether the last step is done, or the score has not improved for too many epochs."""
        best, n_epochs, max_steps = self.state.best_epoch, self.recipe.n_iter_no_change, self.recipe.max_steps
        stalled = n_epochs is not None and best is not None and self.state.epoch - best >= n_epochs
        return stalled or (max_steps is not None and self.state.step >= max_steps)

    # -- checkpoints --------------------------------------------------------------------------------------------

    def mark(self, *, write=False):
        """Store the random state that belongs to the current weights and position; write if a write is due."""
        if self.checkpoint is None:
            return
        self.marked = _random_states(self.device)
        every = self.checkpoint.every
        if write or (every is not None and self.state.step - self.last_write >= every):
            self.write()

    def write(self):
        """Save all state that the rest of the training depends on."""
        parts = {"model": self.kept, "random": self.marked or {}}
        if not self.state.finished:
            slots = self.optimizer.state_dict()["state"]
            parts["best"] = self.best
            parts["optimizer"] = {
                f"{index}/{key}": tensor
                for index, slot in slots.items()
                for key, tensor in slot.items()
                if tensor is not None
            }
        tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        state = {**asdict(self.state), "scaler": self.scaler.state_dict()}
        self.checkpoint.write(tensors, state, self.configuration())
        self.last_write = self.state.step


def _copy(source, target):
    """Copy tensors into those with the same names."""
    import torch

    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])


def _random_states(device):
    """Return the states of torch's generators on the CPU and the device."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states["device"] = torch.get_device_module(device).get_rng_state()
    return states


def _set_random_states(states, device):
    """Restore what `_random_states` returned."""
    import torch

    torch.set_rng_state(states["cpu"])
    if device.type != "cpu" and "device" in states:
        torch.get_device_module(device).set_rng_state(states["device"])
