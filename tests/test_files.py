"""Files written whole or not at all; lock files, also those that are removed in the end, are held by one process."""

import os
import threading
import time

import pytest
from fresh_process import run_python

from skllmrec._files import exclusive, replacing

WAYS = [{}, {"single_writer": True}, {"durable": True}, {"single_writer": True, "durable": True}]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_file_is_written_whole_or_not_at_all(tmp_path, options):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target, **options) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    with target.open() as reader:
        with replacing(target, **options) as temporary:
            temporary.write_text("new")
            assert target.read_text() == "old"
        assert reader.read() == "old"  # who had opened the old file reads it to its end
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name == "nt", reason="this system has no modes of files")
@pytest.mark.parametrize("options", WAYS, ids=str)
def test_new_files_have_the_mode_of_the_umask(tmp_path, options):
    code = """
        import os, sys
        from skllmrec._files import replacing
        os.umask(int(sys.argv[2], 8))
        with replacing(sys.argv[1], **eval(sys.argv[3])) as temporary:
            print(oct(os.stat(temporary).st_mode & 0o777))
    """
    for mask, mode in (("022", "0o644"), ("077", "0o600"), ("002", "0o664")):
        assert run_python(code, tmp_path / "file", mask, options)[0] == f"{mode}\n"
        assert oct((tmp_path / "file").stat().st_mode & 0o777) == mode


def test_the_umask_is_never_changed(tmp_path, monkeypatch):
    """Another thread could make a file meanwhile."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("changed the umask"))
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("new")


def test_a_single_writer_replaces_what_a_killed_one_left(tmp_path):
    target = tmp_path / "file.npy"
    code = """
        import os, sys
        from skllmrec._files import replacing
        with replacing(sys.argv[1], single_writer=True) as temporary:
            temporary.write_text("a long half")
            os._exit(9)
    """
    run_python(code, target, status=9)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"] and not target.exists()
    with replacing(target, single_writer=True) as temporary:
        assert temporary.read_text() == ""
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["file.npy"]
    assert target.read_text() == "new"


def test_removed_lock_files_keep_everybody_apart(tmp_path):
    path, inside, most, turns = tmp_path / "lock", [], [], []

    def work(name):
        for turn in range(50):
            with exclusive(path, remove=True):
                inside.append(name)
                most.append(len(inside))
                turns.append(turn)
                time.sleep(0.0005)  # long enough for another one to come in, if it could
                inside.remove(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) == 300
    assert set(most) == {1}
    assert not path.exists()


def test_who_waits_for_a_removed_file_makes_it_anew(tmp_path):
    path, waiting, there = tmp_path / "lock", threading.Event(), []

    def wait():
        waiting.set()
        with exclusive(path, remove=True):
            there.append(path.exists())

    thread = threading.Thread(target=wait)
    with exclusive(path, remove=True):
        thread.start()
        waiting.wait()
    thread.join()
    assert there == [True]
    assert not path.exists()


def test_lock_file_stays_unless_it_is_to_go(tmp_path):
    with exclusive(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_child_does_not_remove_the_file_of_its_parent(tmp_path):
    code = """
        import os, sys
        from pathlib import Path
        from skllmrec._files import exclusive
        path = Path(sys.argv[1])
        with exclusive(path, remove=True):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                print(path.exists())
        if child:
            print(path.exists())
    """
    assert run_python(code, tmp_path / "lock")[0].split() == ["True", "False"]
