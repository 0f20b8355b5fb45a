"""Options of compiled loops. The caller owns all of their arrays, and they allocate none."""

from typing import Any

# References are not counted: counting takes an atomic operation for each row that a loop reads, which is slower than
# the arithmetic on a short row.
LOOP: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}

# For functions called by loops: a call passes each array as seven numbers, which can cost as much as the function.
INLINED: dict[str, Any] = {**LOOP, "forceinline": True}
