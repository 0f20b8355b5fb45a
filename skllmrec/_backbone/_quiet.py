"""Loading through transformers: one thread at a time, and nothing on the screen."""

import functools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

loading = threading.RLock()


class _Quiet(logging.Filter):
    """Drop the records of one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the records of all other threads."""
        return record.thread != self.thread


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and loading reports of this thread off the screen, not those of other threads.

    Holders of the `loading` lock only: hooks must be removed in the reverse order.
    """
    from transformers.utils import logging as transformers_logging

    me, restore = threading.get_ident(), None
    if hasattr(transformers_logging, "set_tqdm_hook"):

        def hook(factory, args, kwargs):
            if threading.get_ident() == me:
                factory = transformers_logging.EmptyTqdm
            elif previous is not None:
                return previous(factory, args, kwargs)
            return factory(*args, **kwargs)

        previous = transformers_logging.set_tqdm_hook(hook)
        restore = functools.partial(transformers_logging.set_tqdm_hook, previous)
    handlers = [*transformers_logging.get_logger("transformers").handlers, *logging.getLogger().handlers]
    silence = _Quiet()
    for handler in handlers:
        handler.addFilter(silence)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(silence)
        if restore is not None:
            restore()
