"""Fine-tuning itself: rows held out, objectives tried one after the other, the best epoch of all kept."""

from dataclasses import dataclass, field

import numpy as np

from skllmrec._training import Recipe, index_batches, train
from skllmrec.language_models._distinct import hold_out, number_equal
from skllmrec.language_models.fine_tuning._evaluators import make_judge
from skllmrec.language_models.fine_tuning._objectives import Multitask, Setting, linear_layer, make_objective

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


def split_rows(targets, texts, share, rng):
    """Rows to learn from, and rows to judge by, whose texts are others as far as that is possible.

    Parameters
    ----------
    targets : dict of str to Targets
    texts : sequence of str
        Of all rows.
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
    return hold_out(rng.permutation(rows), number_equal(texts), n_held_out)


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
    vectors : ndarray of shape (n_rows, n_dims), float32, or None
        Before training, of unit length; None after `run`.
    projection : torch.nn.Linear or None
        At first the leading principal directions.
    """

    def __init__(self, encoder, n_rows, n_components, device):
        self._encoder, self._n_rows, self._device = encoder, n_rows, device
        self.projection = None
        self._mode(False)
        if n_components is not None:
            self.projection = _principal_directions(self.all_vectors(), n_components, device)
        self.vectors = self.all_vectors()
        self._start = self.copy_weights()

    def _mode(self, training):
        self._encoder.backbone.train(training)

    def _to_unit(self, rows, *, checkpointed=False):
        from torch.nn.functional import normalize

        vectors = normalize(self._encoder.encode(rows, checkpointed=checkpointed))
        return vectors if self.projection is None else normalize(self.projection(vectors))

    def all_vectors(self):
        """Vectors of all rows as an array, in evaluation mode."""
        import torch

        vectors = None
        with torch.inference_mode():
            for start in range(0, self._n_rows, _ROWS):
                rows = np.arange(start, min(start + _ROWS, self._n_rows))
                part = self._to_unit(rows).cpu().numpy()
                vectors = np.empty((self._n_rows, part.shape[1]), dtype=np.float32) if vectors is None else vectors
                vectors[rows] = part
        return vectors

    def _modules(self, heads):
        """Everything that is trained."""
        from torch import nn

        modules = {"backbone": self._encoder.backbone, "heads": nn.ModuleDict(heads)}
        if self.projection is not None:
            modules["projection"] = self.projection
        return nn.ModuleDict(modules)

    def _trained(self):
        return {name: tensor for name, tensor in self._modules({}).named_parameters() if tensor.requires_grad}

    def copy_weights(self):
        """Weights that are trained, by name."""
        return {name: tensor.detach().clone() for name, tensor in self._trained().items()}

    def set_weights(self, weights):
        """Put weights in the place of the present ones."""
        import torch

        with torch.no_grad():
            for name, tensor in self._trained().items():
                tensor.copy_(weights[name])

    def has_moved(self):
        """Whether the present weights are others than those before training."""
        return any((tensor != self._start[name]).any() for name, tensor in self._trained().items())

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
        outcome, contest = Outcome(), _Contest(judge, self)
        setting = Setting(self.vectors, fitted, temperature=options.temperature, seed=recipe.seed, device=self._device)
        objectives = _objectives(targets, setting, options)
        setting.vectors = self.vectors = None  # heads have started from them; memory must not grow with the corpus
        for name, own in objectives.items():
            self.set_weights(self._start)
            training = self._train(name, own, fitted, contest, recipe, options)
            outcome.history += [{"objective": name, **record} for record in training.history]
            if judge is None:
                outcome.objective = name
                return outcome
            contest.enter(name, training)
        outcome.improved, outcome.objective = contest.is_won, contest.winner if contest.is_won else None
        self.set_weights(contest.weights if contest.is_won else self._start)
        return outcome

    def _without_judge(self, options):
        """No held-out row can be judged: by default nothing is changed, since nobody could say whether it helps."""
        if options.lenient:
            return Outcome(improved=False)
        raise ValueError(
            "no held-out text has a user who also has a text to learn from: there is nothing to judge the training by. "
            "Pass more interactions, a greater validation_fraction, or early_stopping=False to train without"
        )

    def _train(self, name, objective, fitted, contest, recipe, options):
        """Train with one objective; afterwards the weights are those of its best epoch."""
        modules = self._modules(objective.heads)
        cut = index_batches(len(fitted), _batch_size(options.batch_size, objective.batch_size, len(fitted)))

        def loss(rows):
            return objective.loss(self._to_unit(rows, checkpointed=objective.checkpointed), rows)

        training = train(
            modules,
            lambda rng: [fitted[batch] for batch in cut(rng) if len(batch) > 1 or len(fitted) == 1],
            loss,
            recipe,
            validate=contest.score if contest.judge is not None else None,
            callbacks=[_listener(callback, name) for callback in options.callbacks],
            checkpoint=options.checkpoint_of(name),
            description=f"LLMFineTuner, {name}",
            verbose=options.verbose,
        )
        self._mode(False)
        return training


class _Contest:
    """Objectives against each other and against the weights before training, on held-out rows."""

    def __init__(self, judge, tuning):
        self.judge, self._tuning = judge, tuning
        self.winner = self.weights = None
        self._frozen = self._best = None if judge is None else judge.evidence(tuning.vectors)

    def score(self):
        """Score of the present weights; a training may have been resumed, with other weights from the begin."""
        moved = self._tuning.has_moved()
        return (self.judge(self._tuning.all_vectors()) if moved else self._frozen.values).mean()

    def enter(self, name, training):
        """Compare the present weights, the best ones of a training, with the best ones so far."""
        if training.best_epoch == 0:
            return
        evidence = self.judge.evidence(self._tuning.all_vectors())
        if evidence.values.mean() > self._best.values.mean():
            self._best, self.winner, self.weights = evidence, name, self._tuning.copy_weights()

    @property
    def is_won(self):
        """Whether the best weights beat those before training beyond chance."""
        return self.winner is not None and self._best.beats(self._frozen)


@dataclass(frozen=True)
class Options:
    """Settings of a tuning that are no numbers of its recipe."""

    temperature: float
    batch_size: int | str
    multitask: bool
    task_weights: dict | None
    lenient: bool  # end without a result, instead of an error, where nothing can be judged
    checkpoint_of: object  # name of an objective -> Checkpoint or None
    verbose: bool
    callbacks: tuple = ()  # of callables, called with the record of each epoch


def _objectives(targets, setting, options):
    """Objectives to try, by name."""
    found = {name: make_objective(name, own, setting) for name, own in targets.items()}
    return {"multitask": Multitask(found, options.task_weights, setting.device)} if options.multitask else found


def _listener(callback, objective):
    return lambda record: callback({"objective": objective, **record})


def _batch_size(asked, usual, n_rows):
    """Rows of a batch: what was asked for, else what is usual, less where an epoch would be a few steps only."""
    return asked if asked != "auto" else max(min(usual, n_rows // _STEPS), _LEAST_BATCH)


def _principal_directions(vectors, n_components, device):
    """Projection onto the leading principal directions of the vectors, centred."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(np.cov(vectors, rowvar=False, dtype=np.float64))
    coef = directions[:, ::-1][:, :n_components].copy()
    return linear_layer(coef, -mean @ coef, device)


def make_recipe(estimator, seed):
    """Numbers of the training, from the parameters of the estimator."""
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
