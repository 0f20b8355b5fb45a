"""How TwoTowerRecommender learns: batches of whole users, losses, held-out interactions, checkpoints."""

import hashlib
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from scipy import sparse

from skllmrec._device import resolve_device
from skllmrec._kernels.neural.ranking_losses import bpr_loss, first_unknown, is_linked, softmax_loss, warp_loss
from skllmrec._kernels.selection.held_out import MIN_HELD_OUT, hold_out_entries, ranking_quality, take_entries
from skllmrec._training import Checkpoint, index_batches, train
from skllmrec.recommenders.two_tower._network import TwoTowers, pair_features

LOSSES = ("infonce", "softmax", "bpr", "warp", "squared_error")
MOST_CANDIDATES = 8192  # of "infonce", where n_negatives is None
N_DRAWS = {"bpr": 8, "warp": 10}  # for each pair; those of "bpr" are tries to find one item that is not liked
WARP_MARGIN = 2.5  # in temperatures
STEPS_PER_EPOCH, SMALLEST_BATCH = 10, 32  # of batch_size="auto"


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Attributes
    ----------
    loss : str
        Of `LOSSES`.
    temperature : float
        Scores are divided by it before the ranking losses.
    n_negatives : int or None
        Candidates of "infonce", draws of "warp".
    """

    loss: str
    temperature: float
    n_negatives: int | None


@dataclass
class Trained:
    """Result of `fit_towers`.

    Attributes
    ----------
    vectors : tuple of two ndarray of shape (n, n_components), float32
    biases : tuple of two ndarray of shape (n,), float32
        In units of the targets; zeros without biases.
    history : list of dict
    n_iter : int
    """

    vectors: tuple
    biases: tuple
    history: list = field(default_factory=list)
    n_iter: int = 0


def user_batches(indptr, batch_size):
    """Cut shuffled users into batches with all of their pairs: what a user likes is then known to the batch.

    Parameters
    ----------
    indptr : ndarray of shape (n_users + 1,)
        Where the pairs of each user begin.
    batch_size : int
        Pairs of a batch, about.

    Returns
    -------
    callable
        ``batches(rng)`` for `train`: a list of int64 arrays of numbers of pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.recommenders.two_tower._training import user_batches
    >>> batches = user_batches(np.array([0, 2, 2, 5, 6]), 3)(np.random.default_rng(0))
    >>> sorted(sorted(batch.tolist()) for batch in batches)
    [[0, 1, 5], [2, 3, 4]]
    """
    counts = np.diff(indptr)
    users = np.flatnonzero(counts)
    n_batches = max(1, round(counts.sum() / batch_size))

    def batches(rng):
        order = rng.permutation(users)
        sizes = counts[order]
        ends = np.cumsum(sizes)
        pairs = np.repeat(indptr[order] - ends + sizes, sizes) + np.arange(ends[-1])
        cuts = ends[np.searchsorted(ends, np.arange(1, n_batches) * (ends[-1] / n_batches))]
        return [part for part in np.split(pairs, cuts) if len(part)]

    return batches


def fit_towers(links, targets, weights, features, tasks, architecture, objective, recipe, options):
    """Train the network, and compute the vectors of everybody.

    Parameters
    ----------
    links : csr_matrix of shape (n_users, n_items)
        Interactions; sorted indices.
    targets : ndarray of shape (nnz,) or None
        Standardised ratings; None for implicit feedback.
    weights : ndarray of shape (nnz,)
        Of the pairs, of mean one.
    features : tuple of two, FactoredRows or None
    tasks : list of Task
        They get their heads.
    architecture : Architecture
    objective : Objective
    recipe : Recipe
    options : dict
        "batch_size", "early_stopping", "checkpoint_dir", "device", "callback", "verbose".

    Returns
    -------
    Trained
    """
    device = resolve_device(options["device"])
    if links.nnz == 0:  # all weights are zero: there is nothing to be ranked first
        recipe = replace(recipe, n_epochs=0)
    towers = TwoTowers(architecture, links, features, device, recipe.seed)
    towers.add_heads([task.n_outputs for task in tasks])
    descent = _Descent(towers, links, targets, weights, tasks, objective)
    validate = descent.hold_out(recipe.seed) if options["early_stopping"] else None
    if not towers.parameters:  # no ids, and features that say nothing
        return Trained(*to_arrays(towers))
    training = train(
        towers.parameters,
        descent.batches(options["batch_size"]),
        descent.loss,
        recipe,
        validate=validate,
        callbacks=[lambda record: options["callback"](record, lambda: Trained(*to_arrays(towers)))],
        checkpoint=_checkpoint(options, links, targets, weights, features, tasks, objective, towers),
        description="two towers",
        verbose=options["verbose"],
    )
    towers.connect(links)  # held-out ones, too: they tell something about their users and items
    for task, head in zip(tasks, towers.heads(len(tasks)), strict=True):
        task.head = head
    shown = ("epoch", "loss", "score", *(str(task.name) for task in tasks))
    history = [{name: record[name] for name in shown if name in record} for record in training.history]
    return Trained(*to_arrays(towers), history, training.epoch)


def to_arrays(towers):
    """Vectors and biases of both sides.

    Parameters
    ----------
    towers : TwoTowers

    Returns
    -------
    vectors : tuple of two ndarray of shape (n, n_components), float32
    biases : tuple of two ndarray of shape (n,), float32
    """
    import torch

    with torch.no_grad():
        vectors = tuple(side.cpu().numpy() for side in towers.vectors())
    biases = [towers.parameters.get(name) for name in ("user_biases", "item_biases")]
    return vectors, tuple(
        np.zeros(len(side), np.float32) if bias is None else bias.detach().cpu().numpy()[:, 0]
        for side, bias in zip(vectors, biases, strict=True)
    )


def _checkpoint(options, links, targets, weights, features, tasks, objective, towers):
    """Checkpoint that belongs to these data, this network and batches of this size alone."""
    directory = options["checkpoint_dir"]
    if directory is None:
        return None
    digest = hashlib.sha256()
    known = [links.indptr, links.indices, targets, weights, *(side and side.rows for side in features)]
    for array in [*known, *(part for task in tasks for part in (*task.pairs, task.values))]:
        digest.update(b"|" if array is None else np.ascontiguousarray(array).tobytes())
    settings = {**asdict(objective), **asdict(towers.architecture)}
    settings["batch_size"] = options["batch_size"]
    settings["task_weights"] = {str(task.name): task.weight for task in tasks}
    return Checkpoint(directory, identity={"model": "TwoTowerRecommender", "data": digest.hexdigest(), **settings})


class _Descent:
    """Pairs on the device, and the loss of some of them."""

    def __init__(self, towers, links, targets, weights, tasks, objective):
        self.towers, self.objective, self.tasks = towers, objective, tasks
        self.links, self.targets, self.weights = links, targets, weights
        self.task_values = [self._at_links(task) for task in tasks]
        self._load()

    def _load(self):
        """Send the pairs to the device."""
        users, items = self.links.nonzero()
        self.users, self.items = self._tensor(users, np.int64), self._tensor(items, np.int64)
        self.pair_weights = self._tensor(self.weights, np.float32)
        self.pair_targets = None if self.targets is None else self._tensor(self.targets, np.float32)
        self.task_targets = [
            self._tensor(values, np.float32 if task.kind == "regression" else np.int64)
            for task, values in zip(self.tasks, self.task_values, strict=True)
        ]
        self.n_items = self.links.shape[1]
        self.keys = self.users * self.n_items + self.items
        self.counts = self._tensor(np.bincount(items, minlength=self.n_items), np.float32)

    def _tensor(self, array, dtype):
        import torch

        return torch.from_numpy(np.ascontiguousarray(array, dtype=dtype)).to(self.towers.device)

    def _at_links(self, task):
        """Targets of a task at the links: nan or -1 where there is none."""
        missing = np.nan if task.kind == "regression" else -1
        values = np.full(self.links.nnz, missing, dtype=np.float64 if task.kind == "regression" else np.int64)
        n_items = self.links.shape[1]
        users = np.repeat(np.arange(self.links.shape[0]), np.diff(self.links.indptr))
        keys, wanted = users * np.int64(n_items) + self.links.indices, task.pairs[0] * np.int64(n_items) + task.pairs[1]
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[places] == wanted
        values[places[found]] = task.values[found]
        return values

    def hold_out(self, seed):
        """Keep a tenth of the pairs from training; returns the score on them, None where they are too few."""
        kept, test = hold_out_entries(self.links, seed)
        if len(test) < MIN_HELD_OUT:
            return None
        train_part, test_part = take_entries(self.links, kept), take_entries(self.links, test)
        test_targets = None if self.targets is None else self.targets[test]
        test_weights = self.weights[test]
        self.links, self.weights = train_part, self.weights[kept]
        self.targets = None if self.targets is None else self.targets[kept]
        self.task_values = [values[kept] for values in self.task_values]
        self._load()
        self.towers.connect(train_part)
        if test_targets is None:
            return lambda: ranking_quality(*to_arrays(self.towers)[0], train_part, test_part, seed=seed).mean()
        rows, columns = test_part.nonzero()

        def minus_rmse():
            (p, q), (of_users, of_items) = to_arrays(self.towers)
            errors = test_targets - (p[rows] * q[columns]).sum(axis=1) - of_users[rows] - of_items[columns]
            return -float(np.sqrt(np.average(errors**2, weights=test_weights)))

        return minus_rmse

    def batches(self, batch_size):
        """Batches of pairs: of whole users where a loss must know all that a user likes."""
        if batch_size == "auto":
            batch_size = max(SMALLEST_BATCH, self.links.nnz // STEPS_PER_EPOCH)
        if self.objective.loss in ("infonce", "softmax"):
            return user_batches(self.links.indptr, batch_size)
        return index_batches(self.links.nnz, batch_size)

    # -- the loss -----------------------------------------------------------------------------------------------

    def loss(self, pairs):
        """Mean loss of some pairs, and the part of each task."""
        pairs = self._tensor(pairs, np.int64)
        vectors = self.towers.vectors(training=True)
        users, items = self.users[pairs], self.items[pairs]
        main = getattr(self, f"_{self.objective.loss}")(vectors, users, items, pairs)
        total, numbers = (self.pair_weights[pairs] * main).mean(), {}
        for number, task in enumerate(self.tasks):
            value = self._task_loss(number, task, vectors, users, items, self.task_targets[number][pairs])
            total = total + task.weight * value
            numbers[str(task.name)] = value.detach()
        return total, numbers

    def _scores(self, vectors, users, items):
        """Scores of pairs over the temperature; users (n,) with items (n,) or (n, m)."""
        from torch.nn.functional import embedding

        p, q = embedding(users, vectors[0]), embedding(items, vectors[1])
        if items.ndim > 1:
            p = p[:, None]
        return (p * q).sum(-1) / self.objective.temperature

    def _infonce(self, vectors, users, items, pairs):
        """Against items drawn at random, the same ones for the whole batch."""
        import torch

        n_candidates = min(self.objective.n_negatives or MOST_CANDIDATES, self.n_items)
        if n_candidates == self.n_items:
            return self._softmax_against(vectors, users, items)
        drawn = torch.randperm(self.n_items)[:n_candidates].sort().values.to(users.device)
        inclusion = torch.full((n_candidates,), n_candidates / self.n_items, device=users.device)
        positive = self._scores(vectors, users, items)  # what is liked need not be among those drawn
        return self._softmax_against(vectors, users, items, drawn, inclusion=inclusion, positive=positive)

    def _softmax(self, vectors, users, items, pairs):
        """Against the items of the batch; frequent ones are in it more often."""
        import torch

        drawn = torch.unique(items)
        share = len(items) / len(self.items)
        inclusion = -torch.expm1(self.counts[drawn] * np.log1p(-min(share, 1 - 1e-6)))  # 1 - (1 - share)^count
        return self._softmax_against(vectors, users, items, drawn, inclusion=inclusion)

    def _softmax_against(self, vectors, users, items, drawn=None, **known):
        """Against some items, or all of them."""
        import torch
        from torch.nn.functional import embedding

        distinct, rows = torch.unique(users, return_inverse=True)
        p, q = embedding(distinct, vectors[0]) / self.objective.temperature, vectors[1]
        if drawn is not None:
            columns = torch.full((self.n_items,), -1, device=users.device)
            columns[drawn] = torch.arange(len(drawn), device=users.device)
            q, items = embedding(drawn, q), columns[items]
        return softmax_loss(p, q, rows, items, **known)

    def _draw(self, users, n_draws):
        """Items drawn uniformly for each pair, and whether the user likes them."""
        import torch

        drawn = torch.randint(self.n_items, (len(users), n_draws)).to(users.device)
        return drawn, is_linked(users[:, None], drawn, self.keys, self.n_items)

    def _bpr(self, vectors, users, items, pairs):
        other, found = first_unknown(*self._draw(users, N_DRAWS["bpr"]))
        return bpr_loss(self._scores(vectors, users, items), self._scores(vectors, users, other)) * found

    def _warp(self, vectors, users, items, pairs):
        drawn, liked = self._draw(users, self.objective.n_negatives or N_DRAWS["warp"])
        negatives = self._scores(vectors, users, drawn)
        return warp_loss(self._scores(vectors, users, items), negatives, liked, self.n_items, WARP_MARGIN)

    def _squared_error(self, vectors, users, items, pairs):
        from torch.nn.functional import embedding

        (p, q), parameters = vectors, self.towers.parameters
        scores = (embedding(users, p) * embedding(items, q)).sum(1)
        biases = embedding(users, parameters["user_biases"]) + embedding(items, parameters["item_biases"])
        return (self.pair_targets[pairs] - scores - biases[:, 0]).square()

    def _task_loss(self, number, task, vectors, users, items, targets):
        """Mean loss of a task over the pairs whose target is known."""
        import torch
        from torch.nn.functional import cross_entropy, embedding, linear

        known = ~targets.isnan() if task.kind == "regression" else targets >= 0
        p, q = embedding(users[known], vectors[0]), embedding(items[known], vectors[1])
        parameters, targets = self.towers.parameters, targets[known]
        weights, biases = (parameters[f"head{number}.{part}"] for part in ("weight", "bias"))
        outputs = linear(torch.cat(pair_features(p, q), dim=1), weights, biases)
        if task.kind == "regression":
            losses = (outputs[:, 0] - targets).square()
        else:
            losses = cross_entropy(outputs, targets, reduction="none")
        return losses.sum() / max(len(losses), 1)


def with_links(weights):
    """Positions of the stored entries that are interactions: an observed zero is none.

    Parameters
    ----------
    weights : csr_matrix

    Returns
    -------
    links : csr_matrix
        Of ones, sorted indices.
    positions : ndarray of int
    """
    positions = np.flatnonzero(weights.data > 0)
    links = take_entries(weights, positions)
    return sparse.csr_matrix((np.ones(links.nnz, np.float32), links.indices, links.indptr), links.shape), positions
