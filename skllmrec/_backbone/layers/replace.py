"""Exchange the linear layers of a model for layers that compute the same in another way."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def replace_linear_layers(model: "torch.nn.Module", make_layer: Callable[[Any], Any]) -> int:
    """Replace the linear layers of a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers of the type torch.nn.Linear itself (no subclasses, which compute something else) are replaced.
    make_layer : callable
        From a linear layer to the module that takes its place.

    Returns
    -------
    int
        Number of layers replaced.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._backbone.layers.replace import replace_linear_layers
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> replace_linear_layers(model, lambda layer: torch.nn.Identity())
    2
    """
    import torch

    found = [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if type(layer) is torch.nn.Linear
    ]
    for parent, name, layer in found:
        setattr(parent, name, make_layer(layer))
    return len(found)
