"""Lock files that are removed in the end: whoever waited for one never holds it together with who made it anew."""

import os
import subprocess
import threading
import time

import pytest
from letter_encoder import start_python

from skllmrec._store._locks import exclusive


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
        import os
        from skllmrec._store._locks import exclusive
        path = Path(sys.argv[1])
        with exclusive(path, remove=True):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                print(path.exists())
        if child:
            print(path.exists())
    """
    process = start_python(code, tmp_path / "lock", stdout=subprocess.PIPE, text=True)
    assert process.communicate()[0].split() == ["True", "False"]
    assert process.returncode == 0
