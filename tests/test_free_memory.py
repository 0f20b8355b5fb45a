"""What is left of memory: of the machine, and of containers with a limit, told by files as Linux has them."""

import os
from pathlib import Path

import pytest

from skllmrec._free_memory import free_memory

GIB = 2**30


def machine(folder, groups):
    """Files of a machine with 8 GiB left, and of a process in some control groups."""
    (folder / "self").mkdir(parents=True)
    (folder / "meminfo").write_text(f"MemTotal: {16 * 2**20} kB\nMemAvailable: {8 * 2**20} kB\n")
    (folder / "self" / "cgroup").write_text(groups)
    return folder


def group(folder, limit, used, given_back, version):
    """Files of a control group."""
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, used), strict=False):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {given_back}\n")


def test_a_machine_without_limits(tmp_path):
    group(tmp_path / "groups", "max", GIB, 0, version=2)
    assert free_memory(proc=machine(tmp_path / "proc", "0::/\n"), groups=tmp_path / "groups") == 8 * GIB
    assert free_memory(proc=tmp_path / "proc", groups=tmp_path / "nowhere") == 8 * GIB


@pytest.mark.parametrize(
    ("version", "groups", "folder"), [(2, "0::/a/b\n", ""), (1, "9:name=systemd:/\n4:cpu,memory:/a/b\n", "memory")]
)
@pytest.mark.parametrize("where", ["", "a", "a/b"])
def test_the_tightest_limit_counts(tmp_path, version, groups, folder, where):
    group(tmp_path / "groups" / folder / where, 4 * GIB, 3 * GIB, GIB // 2, version)
    proc = machine(tmp_path / "proc", groups)
    assert free_memory(proc=proc, groups=tmp_path / "groups") == 1.5 * GIB  # what was read from files is given back


def test_a_path_outside_of_the_container(tmp_path):
    group(tmp_path / "groups", 2 * GIB, 3 * GIB, 0, version=2)
    proc = machine(tmp_path / "proc", "0::/../../docker/0a1b\n")
    assert free_memory(proc=proc, groups=tmp_path / "groups") == 0


def test_memory_that_caches_would_give_back_is_free(monkeypatch):
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        pytest.skip("only Linux says what is available")
    monkeypatch.setattr(os, "sysconf", lambda name: 1)  # hardly a page is unused
    available = next(int(line.split()[1]) for line in meminfo.read_text().splitlines() if "MemAvailable" in line) * 1024
    assert free_memory(groups="/nowhere") == pytest.approx(available, rel=0.5)
    assert free_memory(proc="/nowhere", groups="/nowhere") == 1
