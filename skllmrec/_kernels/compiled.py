"""Options of compiled loops. The caller owns all of their arrays, and they allocate none."""

from typing import Any

# References are not counted: that is an atomic operation for each row of a table that a loop looks at, which takes
# longer than the arithmetic on a short row.
LOOP: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}

# For functions that loops call: each array is passed as seven numbers, which can cost as much as what is done with it.
INLINED: dict[str, Any] = {**LOOP, "forceinline": True}
