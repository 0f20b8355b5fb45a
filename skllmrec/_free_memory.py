"""How much memory a process could still take, as the operating system and the limits of its container allow."""

import os
from contextlib import suppress
from pathlib import Path

# of a control group, both versions: the controller in /proc/self/cgroup, where its groups are, and the files of a group
_GROUPS = (
    ("", "", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory(
    *, proc: str | os.PathLike[str] = "/proc", groups: str | os.PathLike[str] = "/sys/fs/cgroup"
) -> int | None:
    """Return the bytes that this process could take now: the least of what the machine and its containers have left.

    Parameters
    ----------
    proc, groups : path-like
        Where Linux reports on memory and control groups.

    Returns
    -------
    free : int or None
        None if the system reports none of these figures.
    """
    free = [_left_on_machine(Path(proc)), *_left_in_groups(Path(proc), Path(groups))]
    return min((left for left in free if left is not None), default=None)


def _left_on_machine(proc):
    with suppress(OSError, StopIteration), (proc / "meminfo").open(encoding="ascii") as lines:
        # Linux counts what caches would give back as well: pages that are unused are few on a machine that reads files
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _left_in_groups(proc, groups):
    """Yield what is left in the group of this process and in the groups that contain it."""
    try:
        mine = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return
    for controller, folder, *files in _GROUPS:
        for _, controllers, path in mine:
            if controller in controllers.split(","):
                inner = groups / folder / path.lstrip("/")
                # a container that sees its own groups only has its limit at the top, whatever its path says
                for group in (inner, *inner.parents):
                    yield _left_in_group(group, *files)


def _left_in_group(group, limit, used, given_back):
    try:
        left = int((group / limit).read_text()) - int((group / used).read_text())
        cached = next(line for line in (group / "memory.stat").read_text().splitlines() if line.startswith(given_back))
    except (OSError, ValueError, StopIteration):  # no such group, or no limit ("max")
        return None
    return max(0, left + int(cached.split()[1]))
