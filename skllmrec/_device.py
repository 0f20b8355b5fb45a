"""Where models run and in which precision."""

from functools import cache
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")


def resolve_device(device: "str | torch.device | None") -> "torch.device":
    """Find the torch device for a parameter `device`.

    Parameters
    ----------
    device : str or None
        A torch device such as ``"cpu"`` or ``"cuda:1"``; None takes the accelerator where there is one.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If torch knows no such device, or this machine has none.

    Examples
    --------
    >>> from skllmrec._device import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    import torch

    if device is None:
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return torch.device("cpu") if found is None else found
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"device={device!r} cannot be used on this machine ({reason}): "
            'choose device="cpu", or device=None for what is available'
        ) from error
    return resolved


def resolve_dtype(dtype: str) -> "torch.dtype":
    """Find the torch dtype for a parameter `dtype`.

    Parameters
    ----------
    dtype : {"float32", "bfloat16", "float16"}
        Precision of the weights and of the computation.

    Returns
    -------
    torch.dtype

    Raises
    ------
    ValueError
        If the precision is not supported; the message names those that are.

    Examples
    --------
    >>> from skllmrec._device import resolve_dtype
    >>> resolve_dtype("float32")
    torch.float32
    """
    import torch

    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} is not supported yet: choose one of {', '.join(map(repr, DTYPES))}")
    return getattr(torch, dtype)


def has_bfloat16(device: "torch.device") -> bool:
    """Whether a device multiplies matrices of bfloat16 by instructions of its own, faster than those of float32.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    bool
        For processors: x86-64 with AVX512-BF16 or AMX-BF16.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._device import has_bfloat16
    >>> has_bfloat16(torch.device("meta"))
    False
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # torch < 2.9
        return False
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def to_device(array: NDArray[Any], device: "torch.device") -> "torch.Tensor":
    """Send an array to a torch device.

    On its way to a GPU it goes through pinned memory, so that the processor need not wait for the copy.

    Parameters
    ----------
    array : ndarray
        Any dtype that torch has.
    device : torch.device
        Where to.

    Returns
    -------
    torch.Tensor

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skllmrec._device import to_device
    >>> to_device(np.arange(3), torch.device("cpu"))
    tensor([0, 1, 2])
    """
    import torch

    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device has run out of memory.

    Parameters
    ----------
    error : RuntimeError
        Only CUDA has a class of its own for it; MPS, XPU and the CPU say so in the message.

    Returns
    -------
    bool

    Examples
    --------
    >>> from skllmrec._device import is_out_of_memory
    >>> is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"))
    True
    """
    import torch

    message = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in message for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def free_memory(device: "torch.device") -> None:
    """Give the memory that torch keeps for later allocations back to an accelerator.

    Parameters
    ----------
    device : torch.device
        Nothing is kept for the CPU.
    """
    import torch

    backend = getattr(torch, device.type, None)  # torch.cuda, torch.mps, torch.xpu
    if backend is not None and hasattr(backend, "empty_cache"):
        backend.empty_cache()


@cache
def keep_freed_memory() -> None:
    """Let the C library keep the memory of a batch for the next one, on the CPU; once per process.

    glibc gives free memory at the end of its heap back to the system, and takes it again page by page with the next
    tensor, for which encoding waits. How much it keeps follows the largest block that it once mapped and unmapped,
    up to 32 MB; nobody writes to this one, so it costs nothing. It has no effect on other C libraries.
    """
    import torch

    torch.empty(31 << 20, dtype=torch.uint8)
