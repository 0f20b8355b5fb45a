"""Estimators from a file: the convention, and errors that name file and line."""

import pickle
import re
import sys
from argparse import Namespace

import pytest

from skllmrec._cli.compare.user_file import cloudpickle, load_own_estimators

NAME = "own_estimators_of_a_test"
GOOD = """from skllmrec.recommenders import PopularityRecommender

class Mine(PopularityRecommender):
    pass

def make_estimators(data, options):
    return {"mine": Mine(user="user_id", item="item_id", feedback=options.feedback)}
"""


@pytest.fixture
def load(tmp_path):
    def run(text, name=f"{NAME}.py", taken=("ids",)):
        path = tmp_path / name
        path.write_text(text)
        return load_own_estimators(str(path), None, Namespace(feedback="implicit"), taken)

    yield run
    sys.modules.pop(NAME, None)


def test_the_function_gets_data_and_options(load):
    made = load(GOOD)
    assert list(made) == ["mine"]
    assert made["mine"].feedback == "implicit"
    assert load(GOOD.replace('"mine"', '"again"')).keys() == {"again"}  # the file is read anew


def test_worker_processes_need_not_import_the_file(load):
    sent = cloudpickle.dumps(load(GOOD)["mine"])
    del sys.modules[NAME]
    assert pickle.loads(sent).feedback == "implicit"  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef make_estimators(:\n", "{file}, line 2: SyntaxError: "),
        ("import math\n\nx = unknown\n", "{file}, line 3: NameError: name 'unknown' is not defined"),
        ("import no_such_module\n", "{file}, line 1: ModuleNotFoundError: "),
        ("x = 1\n", "{file} defines no function make_estimators"),
        ("def make_estimators(data, options):\n    return options.nonsense\n", "{file}, line 2: AttributeError: "),
        ("def make_estimators(data):\n    return {}\n", "{file}: TypeError: make_estimators.. takes 1 positional"),
        (
            "\ndef make_estimators(data, options):\n    return {}\n",
            "{file}, line 2: make_estimators must return a dict",
        ),
        (
            "def make_estimators(*_):\n    return [1]\n",
            "line 1: .* such as {{'my model': MyRecommender..}}, not a list",
        ),
        ("def make_estimators(*_):\n    return {1: 2}\n", "must name estimators by texts, not 1"),
        ("def make_estimators(*_):\n    return {'ids': 2}\n", "uses the name 'ids', which is taken"),
        ("def make_estimators(*_):\n    return {'a': int}\n", "'a' is the class int: call it"),
        ("def make_estimators(*_):\n    return {'a': 2}\n", "'a' is no estimator but a int without fit and get_params"),
    ],
)
def test_what_is_wrong_and_where(load, tmp_path, text, message):
    message = message.replace("{file}", re.escape(str(tmp_path / f"{NAME}.py"))).replace("{{", "{").replace("}}", "}")
    with pytest.raises(ValueError, match=message):
        load(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("numpy.py", "'numpy' is the name of an installed module"),
        ("wave.py", "'wave' is the name of an installed module"),
        ("my-model.py", "'my-model' cannot be the name of a module"),
        ("model.txt", "there is no such Python file"),
    ],
)
def test_names_of_files(load, name, message):
    with pytest.raises(ValueError, match=message):
        load(GOOD, name=name)


def test_a_missing_file():
    with pytest.raises(ValueError, match=r"no/such\.py: there is no such Python file"):
        load_own_estimators("no/such.py", None, None, ())
