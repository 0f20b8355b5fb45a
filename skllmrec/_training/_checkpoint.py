"""The state of a training on disk: one safetensors file, replaced as a whole, so that it is valid at any moment."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec import __version__, _typing
from skllmrec._files import replacing
from skllmrec._format import FORMATS, check_format
from skllmrec.exceptions import CheckpointError

if TYPE_CHECKING:
    import torch

_FILE = "training.safetensors"
_STATE = "state"  # key of the JSON text in the header


class Checkpoint:
    """The folder that a training is saved to and resumed from.

    Its file holds tensors (parameters, optimiser, random generators, best weights) and, in its header, JSON: the
    position in the training and its configuration. Reading it executes no code.

    Parameters
    ----------
    directory : path-like
        Created if it is missing. Only one training may use it at a time.
    every : int, default=None
        Steps between two writes; None: at the end of each epoch only. An interrupt (Ctrl-C) also writes.
    identity : dict, default=None
        Further JSON values that must be equal for a training to be resumed: the base model, a digest of the data, ...
        The recipe and the names and shapes of the parameters are always compared.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from skllmrec._training import Checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(folder, identity={"model": "tiny"})
    ...     checkpoint.write({"weight": torch.ones(2)}, {"step": 3}, {})
    ...     tensors, state = checkpoint.read({})
    >>> tensors["weight"], state
    (tensor([1., 1.]), {'step': 3})
    """

    def __init__(
        self, directory: _typing.Path, *, every: int | None = None, identity: dict[str, Any] | None = None
    ) -> None:
        self.path = Path(directory).expanduser() / _FILE
        self.every = every
        self.identity = {} if identity is None else identity

    def write(self, tensors: "dict[str, torch.Tensor]", state: dict[str, Any], configuration: dict[str, Any]) -> None:
        """Replace the file.

        Parameters
        ----------
        tensors : dict of str to torch.Tensor
        state, configuration : dict
            As JSON.

        Raises
        ------
        CheckpointError
            If the file cannot be written; the one written before is kept.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        header = {"format": FORMATS["training"], "version": __version__}
        header |= {"state": state, "configuration": self._full(configuration)}
        try:
            with replacing(self.path, single_writer=True, durable=True) as temporary:
                save_file(_apart(tensors), temporary, {_STATE: json.dumps(header)})
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{self.path} cannot be written ({error}): make room, or choose a folder that you may write to. The "
                "checkpoint written before is kept"
            ) from error

    def read(self, configuration: dict[str, Any]) -> "tuple[dict[str, torch.Tensor], dict[str, Any]] | None":
        """Read the file.

        Parameters
        ----------
        configuration : dict
            Of the training that is to be resumed.

        Returns
        -------
        tensors : dict of str to torch.Tensor
            On the CPU.
        state : dict
        None instead of both if there is no file.

        Raises
        ------
        CheckpointError
            If the file is damaged or belongs to a training of another configuration.
        FileVersionError
            If a newer version of the package wrote it, or one before 0.1.0.
        """
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = json.loads(file.metadata()[_STATE])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, TypeError, KeyError, json.JSONDecodeError) as error:
            raise CheckpointError(
                f"{self.path} is not a checkpoint of a training, or is damaged ({error}): delete it to start anew"
            ) from error
        check_format("training", header.get("format"), self.path, header.get("version"))
        _compare(header["configuration"], self._full(configuration), self.path)
        return tensors, header["state"]

    def _full(self, configuration):
        """Add the identity, and convert values to those that JSON stores."""
        return json.loads(json.dumps({**configuration, "identity": self.identity}, default=_plain))


def _plain(number):
    """Convert a number of numpy, which parameter searches often set, to Python's own type."""
    if isinstance(number, np.generic):
        return number.item()
    raise TypeError(f"a configuration holds {number!r}, which JSON cannot store")


def _apart(tensors):
    """Make tensors contiguous, and copy those that share memory, which the format does not allow."""
    apart, taken = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in taken else tensor
        taken.add(memory)
    return apart


def _compare(saved, present, path):
    """Raise an error for a checkpoint of another configuration; the message lists the differences."""
    saved, present = _flat(saved), _flat(present)
    differences = [
        f"{name} was {saved.get(name, 'absent')!r} and is {present.get(name, 'absent')!r}"
        for name in sorted({*saved, *present})
        if saved.get(name) != present.get(name)
    ]
    if differences:
        more = f"; and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise CheckpointError(
            f"{path} belongs to a training of another configuration ({'; '.join(differences[:5])}{more}): "
            "choose another checkpoint directory, or delete this file to start anew. Nothing was overwritten"
        )


def _flat(nested, prefix=""):
    """Flatten nested dicts to one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
