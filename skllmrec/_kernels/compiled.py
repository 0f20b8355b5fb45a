"""Options of compiled loops. The caller owns all of their arrays, and they allocate none."""

# References are not counted: that is an atomic operation for each row of a table that a loop looks at, which takes
# longer than the arithmetic on a short row.
LOOP = {"nogil": True, "cache": True, "_nrt": False}

# For functions that loops call: each array is passed as seven numbers, which can cost as much as what is done with it.
INLINED = {**LOOP, "forceinline": True}
