"""What encoders share whose model was trained here: it is filed by content, and encodes from where it was filed."""

import os
from dataclasses import asdict
from pathlib import Path

from skllmrec._backbone import Encoding, EncodingJob, model_info
from skllmrec.base import BaseTextEncoder
from skllmrec.language_models._checkpoints import open_checkpoint, save_checkpoint

_BATCH_TOKENS = 1024  # padded tokens of a batch when texts are encoded


class CheckpointEncoder(BaseTextEncoder):
    """Base class of text encoders that train a model; weights are never in an attribute or a pickle.

    A subclass has the parameters ``pooling``, ``max_length``, ``checkpoint_dir``, ``device``, ``memory`` and
    ``verbose``, and calls `_keep` with what writes the trained model.

    Attributes
    ----------
    checkpoint_ : str
        Folder of the trained model, in transformers' own format.
    weights_sha256_ : str
        SHA-256 of its weights, tokenizer and configuration.
    max_length_ : int or None
        Tokens that are read.
    """

    def _check_directory(self):
        """Refuse a file where the folder of trained models should be, before anything is trained."""
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
        """Save the trained model; gives the length of a vector."""
        self.checkpoint_ = str(save_checkpoint(save, self.checkpoint_dir, name=name))
        info = model_info(self.checkpoint_)
        self.weights_sha256_ = info.sha256
        self.max_length_ = info.choose_max_length(self.max_length)
        return info.n_dims

    def _encoding(self):
        return Encoding(pooling=self.pooling, max_length=self.max_length_)

    def _identity(self):
        return {"weights": self.weights_sha256_, **asdict(self._encoding())}

    def _job(self, texts, *, n_dims):
        """Job that encodes texts with the model where it was filed."""
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
