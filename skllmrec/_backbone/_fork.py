"""Forked processes: what torch and tokenizers need to work on in a child."""

import functools
import os
import sys


def _settle_child():
    """Set one thread: a child has no others, and would wait for them forever where torch uses OpenMP of GNU."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # as tokenizers decide themselves, after a warning
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@functools.cache
def prepare_for_forks() -> None:
    """Let later children of this process encode, each on one thread; nothing is set in the process itself."""
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(after_in_child=_settle_child)
