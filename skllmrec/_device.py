"""Where models run and in which precision."""

DTYPES = ("float32", "bfloat16", "float16")


def resolve_device(device):
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
        return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
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


def resolve_dtype(dtype):
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
