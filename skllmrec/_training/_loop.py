"""The training loop itself, and the state that it carries from step to step."""

import math
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import numpy as np

from skllmrec._progress import progress_bar
from skllmrec.exceptions import DivergenceError


@dataclass
class Training:
    """Where a training is; at its end, what became of it.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    position : int
        Batches of the present epoch that are done.
    step : int
        Steps of the optimiser.
    sums : dict of str to float
        Sums over the batches of the present epoch: the loss and what else the loss function returned.
    learning_rate : float
        Of the last step.
    history : list of dict
        One record for each epoch, see `train`.
    best_epoch : int or None
        Epoch of the best validation score, 0 for the weights before training; None without validation.
    best_score : float or None
        That score.
    finished : bool
        Whether the training came to its end.
    """

    epoch: int = 0
    position: int = 0
    step: int = 0
    sums: dict = field(default_factory=dict)
    learning_rate: float = 0.0
    history: list = field(default_factory=list)
    best_epoch: int | None = None
    best_score: float | None = None
    finished: bool = False


def train(
    model, batches, loss, recipe, *, validate=None, callbacks=(), checkpoint=None, description="training", verbose=False
):
    """Train a model in place by gradient descent.

    Randomness comes from the seed alone: the order of an epoch's batches from ``default_rng([seed, epoch])``, all
    else from torch's own generators, which are seeded at the begin and given back to the caller as they were. A
    training that is resumed from a checkpoint therefore ends with the weights of one that ran through.

    Parameters
    ----------
    model : torch.nn.Module or dict of str to torch.Tensor
        Parameters that require gradients are trained, on the device where they are. A module is in training mode
        while it is trained, in evaluation mode while it is validated, and afterwards in its former mode.
    batches : callable
        ``batches(rng) -> sequence``: the batches of one epoch, in an order that depends on the numpy generator alone.
        Cheap descriptions, such as row numbers (see `index_batches`): a resumed epoch skips those that are done. An
        epoch may be a part of the data, where validation and records are wanted more often.
    loss : callable
        ``loss(batch) -> tensor``, the mean loss of a batch; or ``(tensor, dict)`` with further numbers to report,
        such as the losses of several objectives.
    recipe : Recipe
        Optimiser, learning rate, number of epochs, ...
    validate : callable, default=None
        ``validate() -> float``, greater is better, before training and after each epoch, without gradients; or a dict
        with the entry "score" and further numbers to report.
    callbacks : sequence of callable, default=()
        ``callback(record)`` after each epoch; a true return value stops the training. A record holds "epoch", "step",
        the means over the epoch of "loss" and what else the loss function returned, the "learning_rate" at the end,
        the "score" and what else the validation returned, and the "seconds" it took. Epoch 0, before training, has a
        record where there is a validation.
    checkpoint : Checkpoint, default=None
        Where to save the training and to resume it from.
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
    >>> recipe = Recipe(n_epochs=40, learning_rate=0.1, optimizer="adam")
    >>> training = train(line, index_batches(64, 16), squared_error, recipe)
    >>> round(line["slope"].item(), 1), round(line["offset"].item(), 1), training.step
    (2.0, 1.0, 160)
    """
    run = _Run(model, recipe, checkpoint, callbacks)
    n_steps = run.count_steps(batches) if verbose else 0
    progress = progress_bar(n_steps, description=description, unit="steps", enabled=verbose)
    with run.isolated() as state, progress as advance:
        advance(state.step)
        if validate is not None and not state.history:
            run.end_epoch(validate, 0)  # the weights before training are a candidate, too
        while state.epoch < recipe.n_epochs and not run.stopped:
            plan = run.plan(batches)
            while state.position < len(plan):
                run.mark()
                group, sums = plan[state.position : state.position + recipe.accumulate], {}
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
    """What the loop works with: parameters, optimiser, best weights, random generators, checkpoint."""

    def __init__(self, model, recipe, checkpoint, callbacks):
        self.is_module = not isinstance(model, dict)
        self.model, self.recipe, self.checkpoint, self.callbacks = model, recipe, checkpoint, callbacks
        named = dict(model.named_parameters()) if self.is_module else model
        self.trained = {name: tensor for name, tensor in named.items() if tensor.requires_grad}
        if not self.trained:
            raise ValueError("no parameter of the model requires gradients: there is nothing to train")
        # buffers change during a training, too: running means, for example
        self.kept = {**self.trained, **(dict(model.named_buffers()) if self.is_module else {})}
        self.device = next(iter(self.trained.values())).device
        self.optimizer = recipe.make_optimizer(self.trained)
        self.autocast, self.scaler = recipe.make_precision(self.device)
        self.state, self.best, self.marked = Training(), {}, None
        self.started, self.last_write, self.stopped = time.monotonic(), 0, False

    # -- before and after ---------------------------------------------------------------------------------------

    @contextmanager
    def isolated(self):
        """Own random generators and modes, a checkpoint when interrupted; yields the state to start from."""
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
        """Take over what a checkpoint holds."""
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
        _copy(parts["model"], self.kept)
        self.best = {name: tensor.to(self.device) for name, tensor in parts.get("best", {}).items()}
        self.last_write, self.stopped = self.state.step, self.state.finished
        self.stopped |= self._is_over()
        if not self.state.finished:
            self._load_optimizer(parts.get("optimizer", {}))
            _set_random_states(parts["random"], self.device)
            if scaler:
                self.scaler.load_state_dict(scaler)

    def _load_optimizer(self, tensors):
        states = {}
        for name, tensor in tensors.items():
            index, _, key = name.partition("/")
            states.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": states})

    def configuration(self):
        """Describe what a checkpoint must agree with."""
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
        """Count the steps of the whole training, if all epochs are like the first one."""
        n_batches = len(batches(np.random.default_rng([self.recipe.seed, 0])))
        n_steps = self.recipe.n_epochs * math.ceil(n_batches / self.recipe.accumulate)
        return n_steps if self.recipe.max_steps is None else min(n_steps, self.recipe.max_steps)

    def plan(self, batches):
        """Order of the batches of the present epoch."""
        if self.is_module:
            self.model.train()
        plan = batches(np.random.default_rng([self.recipe.seed, self.state.epoch]))
        if len(plan) == 0:
            raise ValueError(f"epoch {self.state.epoch + 1} has no batches: there is nothing to learn from")
        n_steps = math.inf if self.recipe.max_steps is None else self.recipe.max_steps - self.state.step
        return plan[: min(self.state.position + n_steps * self.recipe.accumulate, len(plan))]

    def set_rate(self, epoch_progress):
        """Set the learning rate of a step."""
        progress = (self.state.epoch + epoch_progress) / self.recipe.n_epochs
        if self.recipe.max_steps is not None:  # whichever ends the training first
            progress = max(progress, (self.state.step + 0.5) / self.recipe.max_steps)
        self.state.learning_rate = self.recipe.rate_at(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.state.learning_rate * group["factor"]

    def forward(self, loss, batch, sums):
        """Loss of a batch; it and the numbers beside it are added to `sums`."""
        with self.autocast():
            value = loss(batch)
        value, numbers = value if isinstance(value, tuple) else (value, {})
        for name, number in {"loss": value.detach(), **numbers}.items():
            sums[name] = sums.get(name, 0.0) + float(number)
        return value

    def check(self, loss):
        """Refuse a loss that is not a number."""
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss is {loss} at step {self.state.step + 1}, in epoch {self.state.epoch + 1}, at a learning "
                f"rate of {self.state.learning_rate:.3g}: lower the learning rate, warm it up, or clip the gradients; "
                "if this is the first step, look for values that are not finite in the data"
            )

    def update(self, n_batches, sums):
        """One step of the optimiser; what an interrupt in here leaves behind is not saved."""
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
        """Validate, remember the best weights, tell the callbacks; then the epoch counts as done."""
        state = self.state
        self.mark()  # an interrupt from here on repeats these steps only
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
        """Refuse weights that are not numbers: the loss of the last step says nothing about them."""
        import torch

        for name, tensor in self.trained.items():
            if not torch.isfinite(tensor).all():
                raise DivergenceError(
                    f"parameter {name!r} is not finite after epoch {epoch} (step {self.state.step}, learning rate "
                    f"{self.state.learning_rate:.3g}): lower the learning rate, warm it up, or clip the gradients"
                )

    def _validated(self, validate, epoch):
        """Score of the present weights, which are copied if they are the best."""
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
        if state.best_score is None or score > state.best_score + self.recipe.min_gain:
            state.best_epoch, state.best_score = epoch, score
            if self.recipe.keep_best:
                self.best = {name: tensor.detach().clone() for name, tensor in self.kept.items()}
        return record

    def _is_over(self):
        """Whether the last step is done, or too long nothing has become better."""
        best, patience, max_steps = self.state.best_epoch, self.recipe.patience, self.recipe.max_steps
        waited = patience is not None and best is not None and self.state.epoch - best >= patience
        return waited or (max_steps is not None and self.state.step >= max_steps)

    # -- checkpoints --------------------------------------------------------------------------------------------

    def mark(self, *, write=False):
        """Remember the random state that belongs to the present weights and position; write when it is time."""
        if self.checkpoint is None:
            return
        self.marked = _random_states(self.device)
        every = self.checkpoint.every
        if write or (every is not None and self.state.step - self.last_write >= every):
            self.write()

    def write(self):
        """Save everything the rest of the training depends on."""
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
    """Copy tensors into those of the same names."""
    import torch

    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])


def _random_states(device):
    """States of torch's generators on the CPU and the device."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states["device"] = torch.get_device_module(device).get_rng_state()
    return states


def _set_random_states(states, device):
    """Counterpart of `_random_states`."""
    import torch

    torch.set_rng_state(states["cpu"])
    if device.type != "cpu" and "device" in states:
        torch.get_device_module(device).set_rng_state(states["device"])
