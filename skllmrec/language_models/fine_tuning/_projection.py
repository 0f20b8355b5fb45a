"""Encoding with a tuned model: unit vectors, projected if the model has a projection."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skllmrec._backbone import EncodingJob, forget
from skllmrec._typing import FloatArray, IntArray

if TYPE_CHECKING:
    import torch

_PROJECTION = "projection.safetensors"
_LOADED = 2  # most tuned models in memory: a parameter search fits many

_loaded: OrderedDict[str, None] = OrderedDict()  # keys are checksums, least recently used first
_lock = threading.Lock()


def remember(sha256: str) -> None:
    """Mark a tuned model as loaded; beyond two, the least recently used one is removed from memory.

    Parameters
    ----------
    sha256 : str
        Checksum of its files.
    """
    with _lock:
        _loaded[sha256] = None
        _loaded.move_to_end(sha256)
        while len(_loaded) > _LOADED:
            forget(_loaded.popitem(last=False)[0])


def write_projection(projection: "torch.nn.Linear", folder: Path) -> None:
    """Save a projection beside the model that it belongs to.

    Parameters
    ----------
    projection : torch.nn.Linear
    folder : pathlib.Path
    """
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().contiguous() for name, tensor in projection.state_dict().items()}
    save_file(tensors, folder / _PROJECTION)


class TunedJob:
    """An encoding job whose vectors are projected and normalised.

    Parameters
    ----------
    job : EncodingJob
        A job that returns unit vectors.
    folder : str
        Folder of the tuned model, and of its projection if it has one.
    """

    def __init__(self, job: EncodingJob, folder: str) -> None:
        from safetensors.numpy import load_file

        self._job, self.costs, self.groups = job, job.costs, job.groups
        file = Path(folder) / _PROJECTION
        self._projection = load_file(file) if file.exists() else None

    def encode(self, positions: IntArray) -> FloatArray:
        """Encode some of the texts."""
        vectors = self._job.encode(positions)
        if self._projection is None:
            return vectors
        vectors = vectors @ self._projection["weight"].T + self._projection["bias"]
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
