"""The steps of a fine-tuning: hold rows out, train with each objective, keep the best epoch of all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._training import Checkpoint, Recipe, index_batches, train
from skllmrec._typing import Estimator, FloatArray, IntArray
from skllmrec.language_models._distinct import hold_out_texts, number_equal
from skllmrec.language_models.fine_tuning._evaluators import make_judge
from skllmrec.language_models.fine_tuning._objectives import Multitask, Setting, linear_layer, make_objective
from skllmrec.language_models.fine_tuning._partial_model import CorpusEncoder
from skllmrec.language_models.fine_tuning._targets import Targets

if TYPE_CHECKING:
    import torch

_ROWS = 512  # rows that are encoded at once for validation
_STEPS = 10  # least number of steps of an epoch with batch_size="auto"
_LEAST_BATCH = 32
_HEAD_RATE = 5.0  # learning rate of heads, relative to that of the model


@dataclass
class Outcome:
    """The result of a fine-tuning.

    Attributes
    ----------
    improved : bool or None
        Whether the score on held-out rows improved beyond chance; None if no rows were held out.
    objective : str or None
        The objective whose weights are kept; None if these are the weights before training.
    history : list of dict
        Records of all epochs of all objectives.
    """

    improved: bool | None = None
    objective: str | None = None
    history: list[dict] = field(default_factory=list)


def split_rows(
    targets: dict[str, Targets], texts: Iterable[str], share: float | None, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Split the rows into a part to train on and a held-out part, with different texts as far as possible.

    Parameters
    ----------
    targets : dict of str to Targets
    texts : sequence of str
        Of all rows.
    share : float or None
        Share of the rows to hold out; None: no rows.
    rng : numpy.random.Generator

    Returns
    -------
    fitted, held_out : ndarray of int

    Raises
    ------
    ValueError
        If there are too few rows with targets.
    """
    rows = np.flatnonzero(np.any([own.informative for own in targets.values()], axis=0))
    n_held_out = 0 if share is None else max(1, round(share * len(rows)))
    if len(rows) - n_held_out < 2:
        raise ValueError(
            f"{len(rows)} text(s) with targets are too few to learn from"
            + (f", of which {n_held_out} would be held out" if n_held_out else "")
            + ": pass at least 3"
        )
    return hold_out_texts(rng.permutation(rows), number_equal(texts), n_held_out)


class Tuning:
    """A model during its fine-tuning on a corpus.

    Parameters
    ----------
    encoder : CorpusEncoder
    n_rows : int
        Texts of the corpus.
    n_components : int or None
        Output dimension of a projection that is trained with the model; None: no projection.
    device : torch.device

    Attributes
    ----------
    vectors : ndarray of shape (n_rows, n_dims), float32, or None
        Unit vectors before training; None after `run`.
    projection : torch.nn.Linear or None
        Initialised by the leading principal directions.
    """

    def __init__(self, encoder: CorpusEncoder, n_rows: int, n_components: int | None, device: "torch.device") -> None:
        self._encoder = encoder
        self._n_rows = n_rows
        self._device = device
        self.projection: torch.nn.Linear | None = None
        self._mode(False)
        if n_components is not None:
            self.projection = _principal_directions(self.all_vectors(), n_components, device)
        self.vectors: Any = self.all_vectors()
        self._start = self.copy_weights()

    def _mode(self, training):
        self._encoder.backbone.train(training)

    def _to_unit(self, rows, *, checkpointed=False):
        from torch.nn.functional import normalize

        vectors = normalize(self._encoder.encode(rows, checkpointed=checkpointed))
        return vectors if self.projection is None else normalize(self.projection(vectors))

    def all_vectors(self) -> FloatArray:
        """Compute the vectors of all rows in evaluation mode."""
        import torch

        vectors: Any = None
        with torch.inference_mode():
            for start in range(0, self._n_rows, _ROWS):
                rows = np.arange(start, min(start + _ROWS, self._n_rows))
                part = self._to_unit(rows).cpu().numpy()
                vectors = np.empty((self._n_rows, part.shape[1]), dtype=np.float32) if vectors is None else vectors
                vectors[rows] = part
        return vectors

    def _modules(self, heads):
        """Return all modules that are trained."""
        from torch import nn

        modules = {"backbone": self._encoder.backbone, "heads": nn.ModuleDict(heads)}
        if self.projection is not None:
            modules["projection"] = self.projection
        return nn.ModuleDict(modules)

    def _trained(self):
        return {name: tensor for name, tensor in self._modules({}).named_parameters() if tensor.requires_grad}

    def copy_weights(self) -> "dict[str, torch.Tensor]":
        """Copy the trained weights, by name."""
        return {name: tensor.detach().clone() for name, tensor in self._trained().items()}

    def set_weights(self, weights: "dict[str, torch.Tensor]") -> None:
        """Replace the current weights."""
        import torch

        with torch.no_grad():
            for name, tensor in self._trained().items():
                tensor.copy_(weights[name])

    def has_moved(self) -> bool:
        """Whether the current weights differ from those before training."""
        return any((tensor != self._start[name]).any() for name, tensor in self._trained().items())

    def run(
        self,
        targets: dict[str, Targets],
        rows: tuple[IntArray, IntArray],
        *,
        judged_by: Targets | None,
        recipe: Recipe,
        options: "Options",
    ) -> Outcome:
        """Train with each objective from the same initial weights, and keep the best weights.

        Parameters
        ----------
        targets : dict of str to Targets
            By objective.
        rows : tuple of two ndarray of int
            Rows to train on, and held-out rows.
        judged_by : Targets or None
            Targets that held-out rows are scored by; None: no rows are held out.
        recipe : Recipe
        options : Options

        Returns
        -------
        Outcome
        """
        fitted, held_out = rows
        judge = None if judged_by is None else make_judge(judged_by, fitted, held_out, recipe.seed)
        if judge is not None and judge.n_judged == 0:
            return self._without_judge(options)
        outcome, selection = Outcome(), _Selection(judge, self)
        setting = Setting(self.vectors, fitted, temperature=options.temperature, seed=recipe.seed, device=self._device)
        objectives = _objectives(targets, setting, options)
        setting.vectors = self.vectors = None  # heads are initialised; memory must not grow with the corpus
        for name, own in objectives.items():
            self.set_weights(self._start)
            training = self._train(name, own, fitted, selection, recipe, options)
            outcome.history += [{"objective": name, **record} for record in training.history]
            if judge is None:
                outcome.objective = name
                return outcome
            selection.enter(name, training)
        outcome.improved, outcome.objective = selection.is_won, selection.winner if selection.is_won else None
        self.set_weights(selection.weights if selection.is_won else self._start)
        return outcome

    def _without_judge(self, options):
        """Handle held-out rows that cannot be scored: with "auto" the model is not changed, else raise an error."""
        if options.lenient:
            return Outcome(improved=False)
        raise ValueError(
            "no held-out text has a user who also has a text to train on, so that the training cannot be scored. "
            "Pass more interactions, a greater validation_fraction, or early_stopping=False to train without"
        )

    def _train(self, name, objective, fitted, selection, recipe, options):
        """Train with one objective, and keep the weights of its best epoch."""
        modules = self._modules(objective.heads)
        cut = index_batches(len(fitted), _batch_size(options.batch_size, objective.batch_size, len(fitted)))

        def loss(rows):
            return objective.loss(self._to_unit(rows, checkpointed=objective.checkpointed), rows)

        training = train(
            modules,
            lambda rng: [fitted[batch] for batch in cut(rng) if len(batch) > 1 or len(fitted) == 1],
            loss,
            recipe,
            validate=selection.score if selection.judge is not None else None,
            callbacks=[_with_objective(callback, name) for callback in options.callbacks],
            checkpoint=options.checkpoint_of(name),
            description=f"LLMFineTuner, {name}",
            verbose=options.verbose,
        )
        self._mode(False)
        return training


class _Selection:
    """Selects the best weights of all objectives, those before training included, on held-out rows."""

    def __init__(self, judge, tuning):
        self.judge, self._tuning = judge, tuning
        self.winner = self.weights = None
        self._frozen = self._best = None if judge is None else judge.evidence(tuning.vectors)

    def score(self):
        """Score the current weights, which differ from the initial ones from the start if the training was resumed."""
        moved = self._tuning.has_moved()
        return (self.judge(self._tuning.all_vectors()) if moved else self._frozen.values).mean()

    def enter(self, name, training):
        """Compare the current weights, the best ones of a training, with the best ones so far."""
        if training.best_epoch == 0:
            return
        evidence = self.judge.evidence(self._tuning.all_vectors())
        if evidence.values.mean() > self._best.values.mean():
            self._best, self.winner, self.weights = evidence, name, self._tuning.copy_weights()

    @property
    def is_won(self):
        """Whether the best weights are better than those before training beyond chance."""
        return self.winner is not None and self._best.beats(self._frozen)


@dataclass(frozen=True)
class Options:
    """Settings of a fine-tuning that are not part of its recipe."""

    temperature: float
    batch_size: int | str
    multitask: bool
    task_weights: dict | None
    lenient: bool  # leave the model as it is, instead of raising an error, if held-out rows cannot be scored
    checkpoint_of: Callable[[str], Checkpoint | None]  # name of an objective -> Checkpoint or None
    verbose: bool | int
    callbacks: tuple = ()  # of callables, called with the record of each epoch


def _objectives(targets, setting, options):
    """Objectives to try, by name."""
    found = {name: make_objective(name, own, setting) for name, own in targets.items()}
    return {"multitask": Multitask(found, options.task_weights, setting.device)} if options.multitask else found


def _with_objective(callback, objective):
    """Add the name of the objective to the records that a callback gets."""
    return lambda record: callback({"objective": objective, **record})


def _batch_size(asked, usual, n_rows):
    """Return the batch size asked for; with "auto" the usual one, or less if an epoch had only a few steps."""
    return asked if asked != "auto" else max(min(usual, n_rows // _STEPS), _LEAST_BATCH)


def _principal_directions(vectors, n_components, device):
    """Make a projection onto the leading principal directions of the centred vectors."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(np.cov(vectors, rowvar=False, dtype=np.float64))
    coef = directions[:, ::-1][:, :n_components].copy()
    return linear_layer(coef, -mean @ coef, device)


def make_recipe(estimator: Estimator, seed: int) -> Recipe:
    """Make the recipe of the training from the parameters of the estimator."""
    return Recipe(
        max_iter=estimator.max_iter,
        learning_rate=estimator.learning_rate,
        learning_rate_init=estimator.learning_rate_init,
        weight_decay=estimator.weight_decay,
        warmup=estimator.warmup,
        clip_norm=1.0,
        n_iter_no_change=estimator.n_iter_no_change if estimator.early_stopping else None,
        rate_factors={"heads": _HEAD_RATE},
        seed=seed,
    )
