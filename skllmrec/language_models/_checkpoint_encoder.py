"""Base class of text encoders that train a model: the model is stored by its content, and encodes from there."""

import os
from pathlib import Path

import numpy as np
from sklearn.utils import check_random_state

from skllmrec._backbone import Encoding, EncodingJob, model_info, write_declared
from skllmrec._backbone.pooling import POOLINGS
from skllmrec._sklearn import HasMethods, StrOptions
from skllmrec._training import training_constraints
from skllmrec.base import BaseTextEncoder
from skllmrec.language_models._checkpoints import open_checkpoint, save_checkpoint

_BATCH_TOKENS = 1024  # padded tokens of a batch when texts are encoded


class CheckpointEncoder(BaseTextEncoder):
    """Base class of text encoders that train a model; weights are never in an attribute or a pickle.

    A subclass has the parameters of `_parameter_constraints` and ``max_length``, and calls `_keep` with a function that
    writes the trained model.

    Attributes
    ----------
    checkpoint_ : str
        Folder of the trained model, in transformers' own format.
    weights_sha256_ : str
        SHA-256 of its weights, tokenizer and configuration.
    max_length_ : int or None
        Tokens that are read.
    """

    _normalize = False  # whether vectors are scaled to unit length

    _parameter_constraints: dict = {
        **training_constraints(
            "batch_size",
            "learning_rate",
            "learning_rate_init",
            "weight_decay",
            "warmup",
            "max_iter",
            "early_stopping",
            "validation_fraction",
            "n_iter_no_change",
            "dtype",
            "checkpoint_dir",
            "callbacks",
            "device",
            "random_state",
            "verbose",
        ),
        "pooling": [StrOptions(set(POOLINGS))],
        "memory": [str, os.PathLike, HasMethods("fetch"), None],
    }

    def _draw_seed(self, resumable):
        """Draw a seed from `random_state`; without one, a training with a checkpoint must have the same in each fit."""
        if self.random_state is None and self.checkpoint_dir is not None:
            return resumable
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _check_directory(self):
        """Raise an error if `checkpoint_dir` is a file, before the training begins."""
        if self.checkpoint_dir is None:
            return
        path = Path(self.checkpoint_dir).expanduser().absolute()
        found = next((folder for folder in (path, *path.parents) if folder.exists()), path)
        if found.exists() and not found.is_dir():
            raise ValueError(
                f"checkpoint_dir={os.fspath(self.checkpoint_dir)!r} cannot be a folder, since {found} is a file: name "
                "another folder. Nothing was overwritten"
            )

    def _keep(self, save, *, name):
        """Save the trained model, and return the length of its vectors."""

        def save_declared(folder):
            """Save the model, and how its vectors are made, so that other encoders make the same."""
            save(folder)
            info = model_info(folder)
            write_declared(
                folder,
                pooling=self.pooling,
                n_dims=info.n_dims,
                max_length=info.choose_max_length(self.max_length),
                normalize=self._normalize,
            )

        self.checkpoint_ = str(save_checkpoint(save_declared, self.checkpoint_dir, name=name))
        info = model_info(self.checkpoint_)
        self.weights_sha256_ = info.sha256
        self.max_length_ = info.choose_max_length(self.max_length)
        return info.n_dims

    def _encoding(self):
        return Encoding(pooling=self.pooling, max_length=self.max_length_, normalize=self._normalize)

    def _identity(self):
        return {"weights": self.weights_sha256_, **self._encoding().identity()}

    def _job(self, texts, *, n_dims):
        """Make the job that encodes texts with the saved model."""
        return EncodingJob(
            open_checkpoint(self.checkpoint_, self.weights_sha256_, name=type(self).__name__),
            texts,
            encoding=self._encoding(),
            n_dims=n_dims,
            batch_tokens=_BATCH_TOKENS,
            device=self.device,
        )

    def _start(self, texts):
        return self._job(texts, n_dims=self.embedding_size_)
