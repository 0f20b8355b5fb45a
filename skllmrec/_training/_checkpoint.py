"""A training on disk: one safetensors file, replaced as a whole, so that a kill at any moment leaves a valid one."""

import json
from pathlib import Path

import numpy as np

from skllmrec import __version__
from skllmrec._files import replacing
from skllmrec._format import FORMATS, check_format
from skllmrec.exceptions import CheckpointError

_FILE = "training.safetensors"
_STATE = "state"  # key of the JSON text in the header


class Checkpoint:
    """The folder that a training is saved to and resumed from.

    The file holds tensors (parameters, optimiser, random generators, best weights) and, in its header, JSON: the
    position in the training and its configuration. Nothing in it is executed when it is read.

    Parameters
    ----------
    directory : path-like
        Made if it is missing. One training at a time.
    every : int, default=None
        Steps between two writes; None: at the end of each epoch only. An interrupt (Ctrl-C) writes, too.
    identity : dict, default=None
        What else must be the same for a training to be resumed, as JSON: the base model, a digest of the data, ...
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

    def __init__(self, directory, *, every=None, identity=None):
        self.path = Path(directory).expanduser() / _FILE
        self.every = every
        self.identity = {} if identity is None else identity

    def write(self, tensors, state, configuration):
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

    def read(self, configuration):
        """Read the file.

        Parameters
        ----------
        configuration : dict
            Of the training that wants to go on.

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
        """Complete the configuration; it is what a trip through JSON makes of it."""
        return json.loads(json.dumps({**configuration, "identity": self.identity}, default=_plain))


def _plain(number):
    """Python's own number for one of numpy's, which searches over parameters often bring."""
    if isinstance(number, np.generic):
        return number.item()
    raise TypeError(f"a configuration holds {number!r}, which JSON cannot write")


def _apart(tensors):
    """Make tensors contiguous, and copy those that share their memory with another one, which the format refuses."""
    apart, taken = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in taken else tensor
        taken.add(memory)
    return apart


def _compare(saved, present, path):
    """Refuse a checkpoint of another configuration; the message shows what differs."""
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
    """Nested dicts as one, keys joined by dots."""
    flat = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
