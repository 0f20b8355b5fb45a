"""Training of SequentialRecommender: every item of every user is predicted from the items before it."""

import functools
import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec._device import resolve_device, to_device
from skllmrec._kernels.neural.graph import unit_rows
from skllmrec._kernels.selection.held_out import MIN_HELD_OUT
from skllmrec._kernels.sequential.events import Events, cut_windows
from skllmrec._kernels.sequential.losses import next_item_loss
from skllmrec._training import Checkpoint, Recipe, index_batches, train
from skllmrec._typing import CsrMatrix, FloatArray, IntArray
from skllmrec.recommenders.sequential._network import ENCODERS, Architecture, ItemTable, SequenceNetwork

MOST_ITEMS, N_DRAWN = 2**15, 2**13  # a larger catalogue is sampled: how many of its items are drawn
LARGEST_BATCH, SMALLEST_BATCH, STEPS_PER_EPOCH = 512, 32, 10  # of batch_size="auto"
_MOST_JUDGED = 5000  # users whose last item is held out
_JUDGED_AT_ONCE = 256
_K = 10
RATE_FACTORS = {"words": 0.2, "repeat": 15.0}  # words are many and rare, two numbers have far to go


@dataclass(frozen=True)
class Data:
    """Training data of the network.

    Parameters
    ----------
    events : Events
    rows : ndarray of shape (n_items, r), float32
        Components of the features of items; r may be 0.
    words : csr_matrix of shape (n_items, n_words), float32, or None
    n_items : int
    """

    events: Events
    rows: FloatArray
    words: CsrMatrix | None
    n_items: int

    def digest(self) -> str:
        """Hash the data.

        Returns
        -------
        str
        """
        digest, events = hashlib.sha256(), self.events
        parts = [events.users, events.items, self.rows]
        if self.words is not None:
            parts += [self.words.indptr, self.words.indices, self.words.data]
        for part in parts:
            digest.update(str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


@dataclass
class Trained:
    """Result of `fit_sequences`.

    Attributes
    ----------
    encoder : {"pooling", "attention"}
    weights : dict of str to ndarray, float32
    history : list of dict
    n_iter : int
    """

    encoder: str
    weights: dict[str, FloatArray]
    history: list = field(default_factory=list)
    n_iter: int = 0


def hold_out_last_events(events: Events, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Hold out the last event of some users who have others.

    Parameters
    ----------
    events : Events
    fraction : float
        Share of these users; at most 5,000 are judged.
    seed : int

    Returns
    -------
    kept, held_out : ndarray of int
        Positions.
    """
    last = np.flatnonzero(np.append(events.users[1:] != events.users[:-1], True))
    last = last[last > events.starts[last]]
    n_judged = min(_MOST_JUDGED, round(fraction * len(last)))
    held_out = np.sort(np.random.default_rng(seed).choice(last, n_judged, replace=False))
    return np.setdiff1d(np.arange(len(events)), held_out), held_out


def fit_sequences(data: Data, architecture: Architecture, temperature: float, recipe: Recipe, options: dict) -> Trained:
    """Train the network; of encoder="auto" the one that predicts held-out last items better, then on all events.

    Parameters
    ----------
    data : Data
    architecture : Architecture
        Its encoder may be "auto".
    temperature : float
    recipe : Recipe
    options : dict
        "n_negatives", "batch_size", "early_stopping", "validation_fraction", "checkpoint_dir", "device", "callback",
        "verbose".

    Returns
    -------
    Trained
    """
    if architecture.encoder != "auto":
        return _fit_one(data, architecture, temperature, recipe, options)[0]
    found = {}
    for encoder in ENCODERS:
        trial = {**options, "early_stopping": True, "callback": None}
        if options["checkpoint_dir"] is not None:
            trial["checkpoint_dir"] = Path(options["checkpoint_dir"]) / encoder
        tried = recipe if options["early_stopping"] else replace(recipe, n_iter_no_change=None)
        found[encoder] = _fit_one(data, replace(architecture, encoder=encoder), temperature, tried, trial)
    scores = {encoder: score for encoder, (_, score) in found.items()}
    best = max(ENCODERS, key=lambda encoder: -1.0 if scores[encoder] is None else scores[encoder])
    if options["early_stopping"]:
        return found[best][0]
    return _fit_one(data, replace(architecture, encoder=best), temperature, recipe, options)[0]


def _fit_one(data, architecture, temperature, recipe, options):
    """Train one network; return the result, and its best score on held-out items or None."""
    device = resolve_device(options["device"])
    events, validate = data.events, None
    table = ItemTable(data.rows, data.words, data.n_items, device)
    n_words = 0 if data.words is None else data.words.shape[1]
    network = SequenceNetwork(architecture, table, data.rows.shape[1], n_words, recipe.seed)
    if options["early_stopping"]:
        kept, held_out = hold_out_last_events(events, options["validation_fraction"], recipe.seed)
        if len(held_out) >= MIN_HELD_OUT:
            judge = _Descent(network, events, temperature, None)
            events = events.take(kept)
            validate = functools.partial(judge.ndcg, held_out)
    descent = _Descent(network, events, temperature, options["n_negatives"])
    if not len(events):  # all weights are zero
        return Trained(architecture.encoder, network.arrays()), None
    callback = options["callback"]
    n_batch = options["batch_size"]
    if n_batch == "auto":
        n_batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, len(events) // STEPS_PER_EPOCH))

    def result() -> Trained:
        return Trained(architecture.encoder, network.arrays())

    training = train(
        network.parameters,
        descent.batches(n_batch),
        descent.loss,
        recipe,
        validate=validate,
        callbacks=[] if callback is None else [lambda record: callback(record, result)],
        checkpoint=_checkpoint(data, architecture, temperature, n_batch, options),
        description="sequences",
        verbose=options["verbose"],
    )
    trained = result()
    trained.history = [
        {name: record[name] for name in ("epoch", "loss", "score") if name in record} for record in training.history
    ]
    trained.n_iter = training.epoch
    return trained, training.best_score


def _checkpoint(data, architecture, temperature, batch_size, options):
    """Checkpoint that belongs to these data, this network and batches of this size alone."""
    if options["checkpoint_dir"] is None:
        return None
    settings: dict[str, Any] = {**asdict(architecture), "temperature": temperature, "batch_size": batch_size}
    for name in ("n_negatives", "early_stopping", "validation_fraction"):
        settings[name] = options[name]
    identity = {"model": "SequentialRecommender", "data": data.digest(), **settings}
    return Checkpoint(options["checkpoint_dir"], identity=identity)


class _Descent:
    """Events on the device, and the loss of some of them."""

    def __init__(self, network, events, temperature, n_negatives):
        self.network, self.events, self.temperature = network, events, temperature
        self.n_items = network.table.n_items
        self.n_drawn = n_negatives
        if n_negatives is None:
            self.n_drawn = self.n_items if self.n_items <= MOST_ITEMS else N_DRAWN
        self.items, self.starts, self.next_same = (
            to_device(np.ascontiguousarray(part, dtype=np.int64), network.device)
            for part in (events.items, events.starts, events.next_same())
        )
        counts = np.bincount(events.items, minlength=self.n_items)
        self.counts = to_device(counts.astype(np.float32), network.device)
        self.is_pooling = network.architecture.encoder == "pooling"

    def batches(self, batch_size):
        """Batches of events (pooling) or of windows of events (attention) of similar length."""
        length = self.network.architecture.max_length
        if self.is_pooling:
            ages = np.minimum(np.arange(len(self.events)) - self.events.starts, length)
            return index_batches(len(self.events), batch_size, lengths=ages)
        first, count = cut_windows(self.events, length)
        self.first, self.count = (to_device(part.astype(np.int64), self.network.device) for part in (first, count))
        return index_batches(len(first), max(1, round(batch_size / count.mean())), lengths=count)

    def loss(self, rows):
        """Mean loss of a batch."""
        import torch
        from torch.nn.functional import pad

        rows = to_device(np.ascontiguousarray(rows), self.network.device)
        positions = rows if self.is_pooling else self._events_of(rows)
        histories, places = self._histories(positions)
        candidates, numbers, inclusion = self._candidates(positions, histories)
        table = self.network.table
        embeddings = table.embed(self.network.parameters, numbers, self.network.architecture.dropout)
        if numbers is not None:
            histories = self._renumbered(histories, numbers)
        states = self._states(embeddings, histories, rows, positions, numbers, training=True)
        scored, columns, biases = embeddings, self.items[positions], self.network.parameters["biases"]
        if candidates is not None:
            own = self._renumbered(candidates, numbers)
            scored, columns, biases = embeddings[own], self._renumbered(columns, candidates), biases[candidates]
        repeats = self._repeats(positions, places, histories, candidates, numbers)
        states = pad(unit_rows(states) / self.temperature, (0, 1), value=1.0)
        scored = torch.cat([unit_rows(scored), biases[:, None]], dim=1)
        return next_item_loss(states, scored, columns, repeats, inclusion=inclusion).mean()

    # -- parts of a batch ----------------------------------------------------------------------------------------

    def _events_of(self, windows):
        """Positions of the events of windows, one window after the other."""
        import torch

        first, count = self.first[windows], self.count[windows]
        ends = count.cumsum(0)
        shift = torch.repeat_interleave(first - ends + count, count)
        return shift + torch.arange(len(shift), device=shift.device)

    def _histories(self, positions):
        """Items before each event, the latest first, and the positions of their events; -1 where there is none."""
        import torch

        starts = self.starts[positions]
        longest = int((positions - starts).max()) if len(positions) else 0
        length = max(1, min(self.network.architecture.max_length, longest))
        places = positions[:, None] - 1 - torch.arange(length, device=positions.device)
        places = torch.where(places >= starts[:, None], places, -1)
        return torch.where(places >= 0, self.items[places.clamp(min=0)], -1), places

    def _states(self, embeddings, histories, rows, positions, numbers, *, training):
        """States before events."""
        import torch

        if self.is_pooling:
            return self.network.pooled(embeddings, histories, training)
        counts = self.count[rows]
        length = int(counts.max())
        within = torch.arange(length, device=counts.device) < counts[:, None]
        inputs = torch.full(within.shape, -1, dtype=torch.int64, device=counts.device)
        inputs[within] = histories[:, 0]
        return self.network.attended(embeddings, inputs, training)[within]

    def _candidates(self, positions, histories):
        """Items that are scored, items whose embeddings are needed, and probabilities; None, None and None for all."""
        import torch

        if self.n_drawn >= self.n_items:
            return None, None, None
        targets = self.items[positions]
        drawn = torch.randperm(self.n_items)[: self.n_drawn].to(targets.device)
        candidates = torch.unique(torch.cat([drawn, targets]))
        share = min(len(positions) / len(self.items), 1 - 1e-6)
        in_batch = -torch.expm1(self.counts[candidates] * float(np.log1p(-share)))
        inclusion = 1 - (1 - self.n_drawn / self.n_items) * (1 - in_batch)
        numbers = torch.unique(torch.cat([candidates, histories[histories >= 0]]))
        return candidates, numbers, inclusion

    def _renumbered(self, items, among):
        """Positions of items among sorted ones; -1 where they are not."""
        import torch

        places = torch.searchsorted(among, items).clamp(max=len(among) - 1)
        return torch.where(among[places] == items, places, -1)

    def _repeats(self, positions, places, histories, candidates, numbers):
        """Pairs of events and candidates that are in the history, and what their scores get."""
        import torch

        mentioned = (places >= 0) & (self.next_same[places.clamp(min=0)] >= positions[:, None])
        columns = histories
        if candidates is not None:
            items = torch.where(histories >= 0, numbers[histories.clamp(min=0)], -1)
            columns = self._renumbered(items, candidates)
            mentioned &= columns >= 0
        rows, ages = mentioned.nonzero(as_tuple=True)
        values = self.network.parameters["repeat"][(ages > 0).long()]
        return rows, columns[rows, ages], values

    # -- validation ---------------------------------------------------------------------------------------------

    def ndcg(self, held_out):
        """Mean NDCG@10 of held-out last items among all items."""
        import torch

        embeddings = self.network.table.embed(self.network.parameters)
        units, gains = unit_rows(embeddings), []
        for start in range(0, len(held_out), _JUDGED_AT_ONCE):
            block = held_out[start : start + _JUDGED_AT_ONCE]
            positions = to_device(np.ascontiguousarray(block), self.network.device)
            histories, places = self._histories(positions)
            if self.is_pooling:
                states = self.network.pooled(embeddings, histories, False)
            else:
                states = self._attended_last(embeddings, histories)
            scores = unit_rows(states) @ units.T / self.temperature + self.network.parameters["biases"]
            rows, columns, values = self._repeats(positions, places, histories, None, None)
            scores[rows, columns] += values
            own = scores.gather(1, self.items[positions][:, None])
            ranks = (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2  # equal scores: the middle
            gains.append(torch.where(ranks < _K, 1 / torch.log2(ranks + 2), 0.0))
        return float(torch.cat(gains).mean())

    def _attended_last(self, embeddings, histories):
        """States after whole histories."""
        import torch

        length = self.network.architecture.max_length
        counts = ((histories >= 0).sum(1) + 1).clamp(max=length)
        ages = counts[:, None] - 1 - torch.arange(int(counts.max()), device=counts.device)
        padded = torch.nn.functional.pad(histories, (0, 1), value=-1)
        inputs = padded.gather(1, ages.clamp(min=0, max=padded.shape[1] - 1))
        states = self.network.attended(embeddings, inputs, False)
        return states[torch.arange(len(states), device=states.device), counts - 1]
