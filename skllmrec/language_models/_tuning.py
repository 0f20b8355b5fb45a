"""Fine-tuning itself: rows held out, objectives tried one after the other, the best epoch of all kept."""

from dataclasses import dataclass, field

import numpy as np

from skllmrec._kernels.held_out import is_better
from skllmrec._training import Recipe, index_batches, train
from skllmrec.language_models._held_out import make_judge
from skllmrec.language_models._objectives import Multitask, Setting, linear_layer, make_objective

_ROWS = 512  # encoded at once for validation
_STEPS = 10  # at least so many in an epoch, where batches are chosen by the number of rows
_LEAST_BATCH = 32
_HEAD_RATE = 5.0  # heads learn faster than the model


@dataclass
class Outcome:
    """What became of a fine-tuning.

    Attributes
    ----------
    improved : bool or None
        Whether held-out rows gain beyond chance by it; None if none were held out.
    objective : str or None
        The one whose weights are kept; None if it is those of before.
    history : list of dict
        Records of all epochs of all objectives.
    """

    improved: bool | None = None
    objective: str | None = None
    history: list = field(default_factory=list)


def split_rows(targets, share, rng):
    """Rows to learn from, and rows to judge by.

    Parameters
    ----------
    targets : dict of str to Targets
    share : float or None
        Share of the rows that is held out; None: no rows.
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
    order = rng.permutation(rows)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


class Tuning:
    """A model that is being tuned on a corpus.

    Parameters
    ----------
    encoder : CorpusEncoder
    n_rows : int
        Texts of the corpus.
    n_components : int or None
        Length of vectors that a projection, trained too, makes; None: no projection.
    device : torch.device

    Attributes
    ----------
    vectors : ndarray of shape (n_rows, n_dims), float32
        Before training, of unit length.
    projection : torch.nn.Linear or None
        At first the leading principal directions.
    """

    def __init__(self, encoder, n_rows, n_components, device):
        self._encoder, self._n_rows, self._device = encoder, n_rows, device
        self.projection = None
        self._mode(False)
        if n_components is not None:
            self.projection = _principal_directions(self._all_vectors(), n_components, device)
        self.vectors = self._all_vectors()
        self._start = self._copy_weights()

    def _mode(self, training):
        self._encoder.backbone.train(training)

    def _to_unit(self, rows, *, checkpointed=False):
        from torch.nn.functional import normalize

        pooled = self._encoder.encode(rows, checkpointed=checkpointed)
        return normalize(pooled if self.projection is None else self.projection(pooled))

    def _all_vectors(self):
        """Vectors of all rows as an array, in evaluation mode."""
        import torch

        with torch.inference_mode():
            parts = [
                self._to_unit(np.arange(start, min(start + _ROWS, self._n_rows)))
                for start in range(0, self._n_rows, _ROWS)
            ]
            return torch.cat(parts).cpu().numpy()

    def _modules(self, heads):
        """Everything that is trained."""
        from torch import nn

        modules = {"backbone": self._encoder.backbone, "heads": nn.ModuleDict(heads)}
        if self.projection is not None:
            modules["projection"] = self.projection
        return nn.ModuleDict(modules)

    def _trained(self):
        return {name: tensor for name, tensor in self._modules({}).named_parameters() if tensor.requires_grad}

    def _copy_weights(self):
        return {name: tensor.detach().clone() for name, tensor in self._trained().items()}

    def _set_weights(self, weights):
        import torch

        with torch.no_grad():
            for name, tensor in self._trained().items():
                tensor.copy_(weights[name])

    def run(self, targets, rows, *, judged_by, recipe, options):
        """Try all objectives, each from the same weights, and end with the best.

        Parameters
        ----------
        targets : dict of str to Targets
            By objective.
        rows : tuple of two ndarray of int
            To learn from, and held out.
        judged_by : Targets or None
            What held-out rows are judged by; None: no rows are held out.
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
        frozen = None if judge is None else judge(self.vectors)
        setting = Setting(self.vectors, fitted, temperature=options.temperature, seed=recipe.seed, device=self._device)
        outcome, best, kept = Outcome(), frozen, self._start
        for name, own in _objectives(targets, setting, options).items():
            self._set_weights(self._start)
            training = self._train(name, own, fitted, judge, frozen, recipe, options)
            outcome.history += [{"objective": name, **record} for record in training.history]
            if judge is None:
                outcome.objective = name
                return outcome
            if training.best_epoch > 0:
                quality = judge(self._all_vectors())
                if quality.mean() > best.mean():
                    best, kept, outcome.objective = quality, self._copy_weights(), name
        outcome.improved = outcome.objective is not None and is_better(best, frozen)
        if not outcome.improved:
            outcome.objective, kept = None, self._start
        self._set_weights(kept)
        return outcome

    def _without_judge(self, options):
        """No held-out row can be judged: by default nothing is changed, since nobody could say whether it helps."""
        if options.lenient:
            return Outcome(improved=False)
        raise ValueError(
            "no held-out text has a user who also has a text to learn from: there is nothing to judge the training by. "
            "Pass more interactions, a greater validation_fraction, or validation_fraction=None to train without"
        )

    def _train(self, name, objective, fitted, judge, frozen, recipe, options):
        """Train with one objective; afterwards the weights are those of its best epoch."""
        modules, moved = self._modules(objective.heads), False
        cut = index_batches(len(fitted), _batch_size(options.batch_size, objective.batch_size, len(fitted)))

        def loss(rows):
            nonlocal moved
            moved = True
            return objective.loss(self._to_unit(rows, checkpointed=objective.checkpointed), rows)

        def score():
            return (judge(self._all_vectors()) if moved else frozen).mean()

        training = train(
            modules,
            lambda rng: [fitted[batch] for batch in cut(rng) if len(batch) > 1 or len(fitted) == 1],
            loss,
            recipe,
            validate=None if judge is None else score,
            checkpoint=options.checkpoint_of(name),
            description=f"LLMFineTuner, {name}",
            verbose=options.verbose,
        )
        self._mode(False)
        return training


@dataclass(frozen=True)
class Options:
    """Settings of a tuning that are no numbers of its recipe."""

    temperature: float
    batch_size: int | None
    multitask: bool
    task_weights: dict | None
    lenient: bool  # end without a result, instead of an error, where nothing can be judged
    checkpoint_of: object  # name of an objective -> Checkpoint or None
    verbose: bool


def _objectives(targets, setting, options):
    """Objectives to try, by name."""
    found = {name: make_objective(name, own, setting) for name, own in targets.items()}
    return {"multitask": Multitask(found, options.task_weights, setting.device)} if options.multitask else found


def _batch_size(asked, usual, n_rows):
    """Rows of a batch: what was asked for, else what is usual, less where an epoch would be a few steps only."""
    return asked if asked is not None else max(min(usual, n_rows // _STEPS), _LEAST_BATCH)


def _principal_directions(vectors, n_components, device):
    """Projection onto the leading principal directions of the vectors, centred."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(np.cov(vectors, rowvar=False, dtype=np.float64))
    coef = directions[:, ::-1][:, :n_components].copy()
    return linear_layer(coef, -mean @ coef, device)


def make_recipe(estimator, seed):
    """Numbers of the training, from the parameters of the estimator."""
    return Recipe(
        n_epochs=estimator.max_epochs,
        learning_rate=estimator.learning_rate,
        weight_decay=estimator.weight_decay,
        warmup=estimator.warmup,
        clip_norm=1.0,
        patience=estimator.patience,
        rate_factors={"heads": _HEAD_RATE},
        seed=seed,
    )
