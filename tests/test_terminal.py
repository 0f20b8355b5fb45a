"""What data, files and servers say is shown in the terminal and never obeyed."""

import ast
import csv
import io
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import skllmrec
from skllmrec import compare_recommenders
from skllmrec._terminal import printable, say
from skllmrec.preprocessing import describe_data
from skllmrec.recommenders import PopularityRecommender

ROOT = Path(skllmrec.__file__).parent
OWNED = "\x1b]0;owned\x07\x9b31m\r\u202egnp\u2066"
SHOWN = r"\x1b]0;owned\x07\x9b31m\x0d\u202egnp\u2066"


def obeyed(text):
    """Characters of a text that a terminal obeys, by their class in Unicode: controls, and what changes direction."""
    marks = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return {
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") and character not in "\t\n")
        or unicodedata.bidirectional(character) in marks
    }


def test_every_character_that_a_terminal_obeys_is_written_as_an_escape():
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert not obeyed(printable(everything))
    kept = "Žluťoučký 映画 नमस्ते 👩\u200d👧 \t\n"
    assert printable(kept) == kept
    assert printable(OWNED) == SHOWN
    assert printable(" two\n lines\r", one_line=True) == "two lines"


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"Sp\xe4t \u6620"), ("utf-8", "Spät 映")])
def test_what_the_terminal_cannot_show_is_no_error(encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    say("Spät 映", file=stream)
    assert stream.buffer.getvalue().decode(encoding) == f"{shown}\n"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_else_writes_to_the_terminal(path):
    if path.name == "_terminal.py":
        return
    for node in ast.walk(ast.parse(path.read_bytes())):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        assert called not in ("print", "sys.stdout.write", "sys.stderr.write"), f"line {node.lineno}: use _terminal.say"


def test_a_comparison_and_a_description_print_names_without_effect(capsys):
    X = [[user, item] for user in "abcdef" for item in "vwxyz"]
    options = {"metrics": "ndcg", "k": 2, "cv": 2, "random_state": 0, "verbose": True, "n_permutations": 9}
    result = compare_recommenders({OWNED: PopularityRecommender(feedback="implicit")}, X, n_resamples=9, **options)
    table = pd.DataFrame({"id": list("vwxyz"), OWNED: [None] * 5})
    printed = "".join(capsys.readouterr())
    for text in (printed, repr(result), str(describe_data(X, item_table=table, key="id"))):
        assert not obeyed(text)
        assert "owned" in text


class Warner(PopularityRecommender):
    """Warns of what a server may have said."""

    def fit(self, X, y=None):
        warnings.warn(f"the server says {OWNED}", UserWarning, stacklevel=1)
        return super().fit(X, y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_warnings_of_worker_processes_are_shown_by_the_caller(n_jobs):
    X = [[user, item] for user in "abcdef" for item in "vwxyz"]
    options = {"metrics": "ndcg", "k": 2, "cv": 2, "random_state": 0, "n_permutations": 9, "n_resamples": 9}
    with pytest.warns(UserWarning, match="the server says"):
        compare_recommenders({"a": Warner(feedback="implicit")}, X, n_jobs=n_jobs, **options)


def command_line(*arguments, where):
    done = subprocess.run(
        [sys.executable, "-m", "skllmrec", *arguments],
        cwd=where,
        env={"PYTHONPATH": str(ROOT.parent), "PATH": "", "PYTHONIOENCODING": "utf-8", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8")


def hostile_files(folder):
    rng = np.random.default_rng(0)
    pairs = {(int(user), int(item)) for user, item in rng.integers(0, 12, (90, 2))}
    rows = pd.DataFrame([{"user": f"u{u}{OWNED}", "item": f"i{i}{OWNED}", f"y{OWNED}": 1.0} for u, i in sorted(pairs)])
    rows.to_csv(folder / "plays.csv", index=False, quoting=csv.QUOTE_ALL)
    titles = {"item": rows["item"].unique()}
    titles[f"title{OWNED}"] = [f"Film {place} {OWNED} sea" for place in range(len(titles["item"]))]
    pd.DataFrame(titles).to_csv(folder / "items.csv", index=False, quoting=csv.QUOTE_ALL)
    return ["--interactions", "plays.csv", "--items", "items.csv", "--user", "user", "--item", "item"]


OWN = f"""from skllmrec import PopularityRecommender
import warnings

class Failing(PopularityRecommender):
    def fit(self, X, y=None):
        warnings.warn("warned {OWNED!a}".replace("'", ""), stacklevel=1)
        raise RuntimeError("the server says " + {OWNED!a})

def make_estimators(data, options):
    return {{{OWNED!a}: Failing(user="user_id", item="item_id", feedback="implicit")}}
"""


def test_compare_shows_titles_ids_columns_and_errors_without_effect(tmp_path, tiny_bert):
    files = hostile_files(tmp_path)
    run = ["--model", str(tiny_bert), "--store", "store", "--folds", "2", "--trials", "1", "--n-jobs", "1", "--k", "3"]
    (tmp_path / "mine_of_terminal.py").write_text(OWN)
    target = ["--target", f"y{OWNED}"]
    jobs = {
        "whole": ["compare", *files, *target, *run],
        "own": ["compare", *files, *target, *run, "--estimators", "mine_of_terminal.py", "--resume"],
        "no column": ["compare", *files, *run, "--target", f"z{OWNED}"],
        "no file": ["compare", *run, "--interactions", f"{OWNED}.csv"],
        "no option": ["compare", f"--{OWNED}"],
        "no store": ["store", "inspect", OWNED],
    }
    for name, job in jobs.items():
        status, printed = command_line(*job, where=tmp_path)
        assert status == (0 if name == "whole" else 2), f"{name}: {printed}"
        assert not obeyed(printed), name
        assert SHOWN.split("m")[0] in printed, name  # what follows may be laid out anew, e.g. wrapped


def test_the_last_words_of_a_fault_have_no_effect(tmp_path):
    code = f"""
import sys
from skllmrec._cli import _main
def fail(options):
    raise RuntimeError({OWNED!a})
_main.COMMANDS[1].add_parser.__globals__["_run"] = fail
sys.exit(_main.main(["store", "stats", "x"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT.parent, check=False)
    said = done.stderr.decode("utf-8")
    assert done.returncode == 1
    assert "Traceback" in said
    assert SHOWN in said
    assert not obeyed(said)
