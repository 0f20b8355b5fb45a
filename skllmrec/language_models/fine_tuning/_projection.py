"""Vectors of a tuned model: of unit length, projected where it has a projection."""

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from skllmrec._backbone import forget

_PROJECTION = "projection.safetensors"
_LOADED = 2  # tuned models that stay in memory: a search fits many

_loaded, _lock = OrderedDict(), threading.Lock()  # sha256 -> None, least recently used first


def remember(sha256):
    """Note that a tuned model is in memory; of too many, the one least recently used is forgotten.

    Parameters
    ----------
    sha256 : str
        Of its files.
    """
    with _lock:
        _loaded[sha256] = None
        _loaded.move_to_end(sha256)
        while len(_loaded) > _LOADED:
            forget(_loaded.popitem(last=False)[0])


def write_projection(projection, folder):
    """Save a linear layer beside the model that it belongs to.

    Parameters
    ----------
    projection : torch.nn.Linear
    folder : pathlib.Path
    """
    from safetensors.torch import save_file

    save_file({name: tensor.detach().contiguous() for name, tensor in projection.state_dict().items()},
              folder / _PROJECTION)  # fmt: skip


class TunedJob:
    """An encoding job whose vectors are projected, and scaled again.

    Parameters
    ----------
    job : EncodingJob
        Whose vectors are of unit length.
    folder : str
        Of the tuned model; a projection is looked for beside it.
    """

    def __init__(self, job, folder):
        from safetensors.numpy import load_file

        self._job, self.costs, self.groups = job, job.costs, job.groups
        file = Path(folder) / _PROJECTION
        self._projection = load_file(file) if file.exists() else None

    def encode(self, positions):
        """Vectors of some of the texts."""
        vectors = self._job.encode(positions)
        if self._projection is None:
            return vectors
        vectors = vectors @ self._projection["weight"].T + self._projection["bias"]
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
