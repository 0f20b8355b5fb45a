"""Objectives of fine-tuning: losses of the vectors of a batch, with their linear heads."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._typing import FloatArray, IntArray
from skllmrec.language_models.fine_tuning._evaluators import item_factors, ridge, row_weights
from skllmrec.language_models.fine_tuning._targets import Targets
from skllmrec.language_models.fine_tuning.losses import contrastive_loss, reconstruction_loss

if TYPE_CHECKING:
    import torch

_MAX_USERS = 2048  # of a batch: bounds its memory


class Setting:
    """The data and settings that all objectives need besides their targets.

    Parameters
    ----------
    vectors : ndarray of shape (n_rows, d)
        Vectors of all rows before training, of unit length.
    fitted : ndarray of int
        Rows to train on.
    temperature : float
        Temperature of "contrastive".
    seed : int
    device : torch.device
    """

    def __init__(
        self, vectors: FloatArray, fitted: IntArray, *, temperature: float, seed: int, device: "torch.device"
    ) -> None:
        self.vectors: Any = vectors  # None once all heads are initialised
        self.fitted = fitted
        self.temperature = temperature
        self.seed = seed
        self.device = device


def linear_layer(coef: FloatArray, intercept: FloatArray, device: "torch.device") -> "torch.nn.Linear":
    """Make a linear layer that is initialised to ``vectors @ coef + intercept``."""
    import torch

    n_inputs, n_outputs = coef.shape
    head = torch.nn.Linear(n_inputs, n_outputs, device=device)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(coef.T))
        head.bias.copy_(torch.from_numpy(intercept))
    return head


class _OnInteractions:
    """Base class of objectives on the interactions of a batch."""

    batch_size = 256
    checkpointed = False
    heads: dict[str, Any] = {}

    def __init__(self, targets: Targets, setting: Setting) -> None:
        self._positives, self._setting = targets.values, setting

    def _among(self, rows):
        """Return the interactions of users with two of the rows or more, as a mask of shape (n_users, n_rows)."""
        import torch

        part = self._positives[rows]
        users = np.flatnonzero(np.bincount(part.indices, minlength=part.shape[1]) > 1)
        if len(users) > _MAX_USERS:
            users = users[torch.randperm(len(users))[:_MAX_USERS].numpy()]
        return torch.from_numpy(part[:, users].T.toarray()).to(self._setting.device)


class Contrastive(_OnInteractions):
    """Softmax cross-entropy over the items of the batch, given the user's other items."""

    def loss(self, vectors: "torch.Tensor", rows: IntArray) -> "torch.Tensor":
        """Compute the mean loss of a batch."""
        return contrastive_loss(vectors, self._among(rows), temperature=self._setting.temperature)


class Reconstruction(_OnInteractions):
    """Reconstruct interactions from similarities, in large batches whose activations are computed twice."""

    batch_size = 1024
    checkpointed = True

    def loss(self, vectors: "torch.Tensor", rows: IntArray) -> "torch.Tensor":
        """Compute the mean loss of a batch."""
        return reconstruction_loss(vectors, self._among(rows))


class _OnHead:
    """Objective with a linear head, initialised by a ridge regression on the vectors before training."""

    batch_size = 128
    checkpointed = False
    name: str

    def _start(self, targets, weights, setting):
        """Initialise the head by the `targets` and `weights` of the fitted rows."""
        found = ridge(setting.vectors[setting.fitted], targets, weights, setting.seed)
        self.heads = {self.name: linear_layer(found.coef, found.intercept, setting.device)}


class _OnNumbers(_OnHead):
    """Squared error of a linear head that predicts numbers."""

    def _start(self, targets, weights, setting):
        import torch

        super()._start(targets, weights, setting)
        self._place = np.full(len(setting.vectors), -1)
        self._place[setting.fitted] = np.arange(len(setting.fitted))
        self._targets = torch.from_numpy(targets).float()
        self._weights = None if weights is None else torch.from_numpy(weights / weights.mean()).float()

    def loss(self, vectors: "torch.Tensor", rows: IntArray) -> "torch.Tensor":
        """Compute the mean loss of a batch."""
        import torch

        place = torch.from_numpy(self._place[rows])
        error = (self.heads[self.name](vectors) - self._targets[place].to(vectors.device)).square().mean(dim=1)
        return (error if self._weights is None else error * self._weights[place].to(vectors.device)).mean()


class Factors(_OnNumbers):
    """Latent factors of the interactions, or the columns of a dense matrix, predicted by a linear head."""

    name = "factors"

    def __init__(self, targets: Targets, setting: Setting) -> None:
        own, weights = targets.take(setting.fitted), None
        if targets.kind == "interactions":
            factors, _ = item_factors(own.values, setting.seed)
            weights = row_weights(own.values)
        else:
            factors = own.values - own.values.mean(axis=0)
        self._start(factors / np.maximum(np.sqrt(np.mean(factors**2)), 1e-12), weights, setting)


class Regression(_OnNumbers):
    """Numbers, each column scaled to variance one."""

    name = "regression"

    def __init__(self, targets: Targets, setting: Setting) -> None:
        numbers = targets.values[setting.fitted]
        numbers = (numbers - numbers.mean(axis=0)) / np.maximum(numbers.std(axis=0), 1e-12)
        self._start(numbers, None, setting)


class Classification(_OnHead):
    """Softmax cross-entropy of a linear head that predicts labels."""

    name = "classification"
    _sharpness = 8.0  # scales the outputs of a ridge classifier, which are shares, to logits

    def __init__(self, targets: Targets, setting: Setting) -> None:
        import torch

        indicators = np.eye(targets.values.max() + 1)[targets.values[setting.fitted]]
        self._start(self._sharpness * indicators, None, setting)
        self._codes = torch.from_numpy(targets.values)

    def loss(self, vectors: "torch.Tensor", rows: IntArray) -> "torch.Tensor":
        """Compute the mean loss of a batch."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(self.heads[self.name](vectors), self._codes[rows].to(vectors.device))


_CLASSES = {
    "contrastive": Contrastive,
    "factors": Factors,
    "interactions": Reconstruction,
    "regression": Regression,
    "classification": Classification,
}


def make_objective(name: str, targets: Targets, setting: Setting) -> Any:
    """Build an objective.

    Parameters
    ----------
    name : str
    targets : Targets
        Of all rows.
    setting : Setting

    Returns
    -------
    object
        ``loss(vectors, rows)``; ``heads``: modules to train by name; ``batch_size``; ``checkpointed``.
    """
    return _CLASSES[name](targets, setting)


class Multitask:
    r"""Weighted sum of the losses of several objectives, on the same vectors.

    Without weights, each loss has a variance that is learned, and the sum is
    :math:`\sum_k \frac{1}{2} e^{-s_k} L_k + \frac{1}{2} s_k` with :math:`s_k` its logarithm [1]_.

    Parameters
    ----------
    objectives : dict of str to objective
    weights : dict of str to float, or None
    device : torch.device

    References
    ----------
    .. [1] A. Kendall, Y. Gal, R. Cipolla, "Multi-task learning using uncertainty to weigh losses for scene geometry
       and semantics", CVPR 2018.
    """

    def __init__(self, objectives: dict[str, Any], weights: dict[str, float] | None, device: "torch.device") -> None:
        import torch

        self._objectives, self._weights = objectives, weights
        self.heads = {name: head for objective in objectives.values() for name, head in objective.heads.items()}
        self.batch_size = max(objective.batch_size for objective in objectives.values())
        self.checkpointed = any(objective.checkpointed for objective in objectives.values())
        if weights is None:
            self._log_variances = torch.nn.ParameterDict(
                {name: torch.nn.Parameter(torch.zeros((), device=device)) for name in objectives}
            )
            self.heads["log_variances"] = self._log_variances

    def loss(self, vectors: "torch.Tensor", rows: IntArray) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Compute the loss of a batch, and the loss of each objective."""
        losses = {name: objective.loss(vectors, rows) for name, objective in self._objectives.items()}
        if self._weights is None:
            total: Any = sum(
                0.5 * (-self._log_variances[name]).exp() * loss + 0.5 * self._log_variances[name]
                for name, loss in losses.items()
            )
        else:
            total = sum(self._weights[name] * loss for name, loss in losses.items())
        return total, {name: loss.detach() for name, loss in losses.items()}
