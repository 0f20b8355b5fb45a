"""Errors of the package: the tree in the docstring, messages and attributes in a pickle, and real errors by family."""

import copy
import inspect
import json
import pickle
import re
import socket
import sqlite3
from contextlib import closing

import pytest
from letter_encoder import LetterEncoder
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skllmrec import EmbeddingStore, LLMTextEncoder, PopularityRecommender, RemoteTextEncoder, exceptions
from skllmrec._store._database import FILE
from skllmrec._training import Checkpoint, DivergenceError
from skllmrec.comparison import Comparison
from skllmrec.comparison._fold import FoldError
from skllmrec.datasets import load_interactions
from skllmrec.exceptions import (
    CheckpointError,
    DatasetNotFoundError,
    FileFormatError,
    ModelNotFoundError,
    NetworkError,
    RemoteAPIError,
    SkllmrecError,
    StorageError,
    StoreError,
    UnknownIdError,
    VectorFileError,
)
from skllmrec.language_models._checkpoints import save_checkpoint
from skllmrec.preprocessing import TextTemplate
from skllmrec.recommenders import FeatureMFRecommender

ERRORS = [
    member
    for _, member in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(member, Exception) and not issubclass(member, Warning)
]


def drawn_tree():
    """Class -> (parent, built-in bases) as drawn in the docstring of the module."""
    found, above = {}, {}
    for indent, name, builtin in re.findall(
        r"^    ((?:\|   |    )*(?:[|`]-- )?)(\w+)(?: \(([\w, ]+)\))?$", exceptions.__doc__, re.MULTILINE
    ):
        depth = len(indent) // 4
        above[depth] = name
        found[name] = above.get(depth - 1), set(builtin.split(", ")) - {""}
    return found


def test_the_tree_in_the_docstring_is_that_of_the_classes():
    real = {}
    for error in ERRORS:
        own = [base for base in error.__bases__ if base.__module__ == exceptions.__name__]
        assert len(own) <= 1
        builtin = {base.__name__ for base in error.__bases__ if base.__module__ == "builtins"}
        real[error.__name__] = own[0].__name__ if own else None, builtin
    assert drawn_tree() == real
    assert len(real) == 13


def test_every_class_has_a_base_and_a_docstring():
    for error in ERRORS:
        assert issubclass(error, SkllmrecError)
        assert error.__doc__
        assert error is SkllmrecError or issubclass(error, ValueError), "`except ValueError` handles all of them"
        assert not (issubclass(error, OSError) and issubclass(error, KeyError))
    assert issubclass(FoldError, SkllmrecError) and DivergenceError is exceptions.DivergenceError


def copies(error):
    yield copy.copy(error)
    yield copy.deepcopy(error)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.loads(pickle.dumps(error, protocol))  # noqa: S301


@pytest.mark.parametrize("error", ERRORS)
def test_message_and_attributes_survive_a_pickle(error):
    raised = error("/store/vectors.sqlite [Errno 13]: größer, so move it")
    raised.add_note("while the nightly job ran")
    for again in copies(raised):
        assert type(again) is error
        assert str(again) == str(raised) == "/store/vectors.sqlite [Errno 13]: größer, so move it"
        assert again.args == raised.args == (str(raised),)
        assert again.__notes__ == raised.__notes__
        if issubclass(error, OSError):
            assert again.errno is again.filename is None


def test_status_and_detail_survive_a_pickle():
    positional = RemoteAPIError("it is busy", 429, "slow down")
    for raised in (positional, RemoteAPIError("it is busy", detail="slow down", status=429)):
        for again in [raised, *copies(raised)]:
            assert (str(again), again.status, again.detail) == ("it is busy", 429, "slow down")
            assert again.args == ("it is busy",) and again.errno is None
    assert (RemoteAPIError("it is away").status, RemoteAPIError("it is away").detail) == (None, "")


def test_error_of_a_fold_survives_a_pickle():
    for again in copies(FoldError("ids", "failed on fold 1")):
        assert (str(again), again.estimator) == ("estimator 'ids' failed on fold 1", "ids")


def http_status(error):
    """As the documentation of `skllmrec.exceptions` says."""
    if isinstance(error, OSError | MemoryError):
        return 503
    if isinstance(error, NotFittedError):
        return 500
    return 422 if isinstance(error, ValueError | TypeError) else 500


def use_file_of_another_program(folder):
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute("CREATE TABLE films (title)")
    EmbeddingStore(folder).stats()


def use_store_below_a_file(folder):
    (folder / "file").touch()
    LetterEncoder(memory=EmbeddingStore(folder / "file" / "store")).fit_transform(["a"])


def write_vectors_beside_others(folder):
    LetterEncoder().fit(["a"]).transform(["a"], out=folder / "vectors.npy")
    (folder / "vectors.npy.json").write_text(
        (folder / "vectors.npy.json").read_text().replace("LetterEncoder", "WordCounter")
    )
    LetterEncoder().fit(["a"]).transform(["a"], out=folder / "vectors.npy")


def write_vectors_where_a_folder_is(folder):
    (folder / "vectors.npy.partial").mkdir()
    LetterEncoder().fit(["a"]).transform(["a"], out=folder / "vectors.npy")


def read_damaged_checkpoint(folder):
    (folder / "training.safetensors").write_bytes(b"damaged")
    Checkpoint(folder).read({})


def write_checkpoint_below_a_file(folder):
    (folder / "file").touch()
    Checkpoint(folder / "file" / "training").write({}, {}, {})


def save_model_below_a_file(folder):
    (folder / "file").touch()
    save_checkpoint(lambda path: None, folder / "file" / "models", name="model")


def read_comparison_of_another_schema(folder):
    (folder / "results.json").write_text(json.dumps({"schema": "something else"}))
    Comparison.from_json(folder / "results.json")


def read_damaged_table(folder):
    (folder / "interactions.csv").write_bytes(b"user_id,item_id\n\xff,\xff\n")
    load_interactions(folder)


STORAGE = {
    use_file_of_another_program: StoreError,
    use_store_below_a_file: StoreError,
    write_vectors_beside_others: VectorFileError,
    write_vectors_where_a_folder_is: VectorFileError,
    read_damaged_checkpoint: CheckpointError,
    write_checkpoint_below_a_file: CheckpointError,
    save_model_below_a_file: CheckpointError,
    read_comparison_of_another_schema: FileFormatError,
    read_damaged_table: FileFormatError,
}


@pytest.mark.parametrize(("action", "error"), STORAGE.items(), ids=lambda value: value.__name__)
def test_storage_errors(action, error, tmp_path):
    with pytest.raises(error) as caught:
        action(tmp_path)
    assert type(caught.value) is error
    assert not isinstance(caught.value.__cause__, SkllmrecError), "no error of the package is wrapped in another one"
    assert isinstance(caught.value, StorageError) and not isinstance(caught.value, ConnectionError)
    assert http_status(caught.value) == 503
    assert str(tmp_path) in str(caught.value), "the message names the place"


def test_missing_models_and_data_are_storage_errors(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError) as caught:
        LLMTextEncoder(tmp_path / "nothing").fit(["a"])
    assert http_status(caught.value) == 503
    with pytest.raises(DatasetNotFoundError) as caught:
        load_interactions(tmp_path / "nothing")
    assert http_status(caught.value) == 503


@pytest.fixture
def closed_port():
    """A port of this computer on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused, nobody else gets it
        yield taken.getsockname()[1]


@pytest.fixture
def unreachable(closed_port, api_key):
    return RemoteTextEncoder("a-model", base_url=f"http://127.0.0.1:{closed_port}/v1", dimensions=2, max_retries=0)


def test_network_errors(unreachable):
    with pytest.raises(RemoteAPIError, match="cannot be reached") as caught:
        unreachable.fit_transform(["a film"])
    for family in (NetworkError, ConnectionError, OSError, ValueError, SkllmrecError):
        assert isinstance(caught.value, family)
    assert not isinstance(caught.value, StorageError)
    assert http_status(caught.value) == 503
    assert caught.value.status is None


def test_missing_values_do_not_hide_a_network_error(unreachable):
    """A recommender explains errors of encoders by missing values; those of a server have another reason."""
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "title": ["Heat", None, "Heat"]})
    encoder = make_pipeline(TextTemplate("{title}"), unreachable)
    recommender = FeatureMFRecommender(
        2, user="user", item="item", item_features=["title"], item_encoder=encoder, feedback="explicit"
    )
    with pytest.raises(RemoteAPIError, match="cannot be reached"):
        recommender.fit(X, [1.0, 2.0, 3.0])


def test_wrong_requests_are_no_fault_of_storage_or_network():
    recommender = PopularityRecommender(feedback="implicit", handle_unknown="error").fit([[1, 1], [2, 1], [2, 2]])
    for error, action in {
        UnknownIdError: lambda: recommender.recommend([99], n_items=1),
        ValueError: lambda: recommender.recommend([1], n_items=0),
        TypeError: lambda: recommender.recommend(["one"], n_items=1),
    }.items():
        with pytest.raises(error) as caught:
            action()
        assert not isinstance(caught.value, OSError)
        assert http_status(caught.value) == 422
    with pytest.raises(NotFittedError) as caught:
        PopularityRecommender(feedback="explicit").recommend([1])
    assert http_status(caught.value) == 500


def test_divergence_is_a_value_error():
    assert issubclass(DivergenceError, ValueError) and not issubclass(DivergenceError, OSError | ArithmeticError)
