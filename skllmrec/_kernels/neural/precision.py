"""Single precision inside mixed precision, for torch functions with their own gradients."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def full_precision(tensor: "torch.Tensor") -> AbstractContextManager[Any]:
    """Switch mixed precision off, where it is on.

    Parameters
    ----------
    tensor : torch.Tensor
        A tensor on the device for which to switch it off.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.precision import full_precision
    >>> x = torch.ones(1, 1)
    >>> with torch.autocast("cpu", torch.bfloat16), full_precision(x):
    ...     print((x @ x).dtype)
    torch.float32
    """
    import torch

    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def in_full(tensor: "torch.Tensor") -> "torch.Tensor":
    """Convert half precision to single precision; other tensors are returned as they are.

    Parameters
    ----------
    tensor : torch.Tensor

    Returns
    -------
    torch.Tensor

    Examples
    --------
    >>> import torch
    >>> from skllmrec._kernels.neural.precision import in_full
    >>> in_full(torch.ones(1, dtype=torch.float16)).dtype, in_full(torch.ones(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    import torch

    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
