"""Files that released versions have written are opened and give the results of then; newer ones are refused."""

import copy
import inspect
import json
import pickle
import shutil
import warnings
from importlib.metadata import version
from pathlib import Path

import joblib
import make_fixtures
import numpy as np
import pytest
from letter_encoder import LetterEncoder
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning

import skllmrec
from skllmrec import Comparison
from skllmrec import _format as formats
from skllmrec._format import FORMATS, VersionedStateMixin
from skllmrec._training import Checkpoint
from skllmrec.exceptions import FileVersionError, StoreError

HERE = Path(__file__).parent
RELEASES = sorted(path.parent for path in HERE.glob("*/expected.json"))
EXPECTED = {folder: json.loads((folder / "expected.json").read_text(encoding="utf-8")) for folder in RELEASES}
RECOMMENDERS = [(folder, name) for folder in RELEASES for name in EXPECTED[folder]["recommenders"]]
TRANSFORMERS = [(folder, name) for folder in RELEASES for name in EXPECTED[folder]["transformers"]]
NEWER = "99.0.0"


def numbers(text):
    """The first two parts of a version."""
    return tuple(int(part) for part in text.split(".")[:2])


@pytest.fixture(params=["joblib", "skops"])
def load(request):
    """Open a saved estimator of a release."""

    def opened(folder, name):
        for package, writer in EXPECTED[folder]["written_by"].items():
            if numbers(version(package)) < numbers(writer):
                pytest.skip(f"written with {package} {writer}, which {version(package)} need not read")
        path = folder / f"{name}.{request.param}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            if request.param == "joblib":
                return joblib.load(path)
            io = pytest.importorskip("skops.io")
            return io.load(path, trusted=io.get_untrusted_types(file=path))

    return opened


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
def release(request, tmp_path):
    """A copy of the files of a release, which a test may change."""
    return Path(shutil.copytree(request.param, tmp_path / "release")), EXPECTED[request.param]


def require_same(model, expected):
    """Compare what a recommender answers with what was recorded."""
    found = make_fixtures.answers(model)
    assert found["ids"] == expected["ids"]
    assert_allclose(found["predict"], expected["predict"], rtol=1e-4, atol=1e-6)
    assert_allclose(np.array(found["scores"], float), np.array(expected["scores"], float), rtol=1e-4, atol=1e-6)


def test_this_version_has_its_files():
    assert skllmrec.__version__ in {folder.name for folder in RELEASES}, "run `make fixtures`"


@pytest.mark.parametrize(("folder", "name"), RECOMMENDERS, ids=lambda part: getattr(part, "name", part))
def test_recommender_answers_as_it_did(load, folder, name):
    require_same(load(folder, name), EXPECTED[folder]["recommenders"][name])


@pytest.mark.parametrize(("folder", "name"), TRANSFORMERS, ids=lambda part: getattr(part, "name", part))
def test_transformer_gives_what_it_gave(load, folder, name):
    _, given = make_fixtures.transformers()[name]
    found, expected = make_fixtures.vectors(load(folder, name).transform(given)), EXPECTED[folder]["transformers"][name]
    if isinstance(expected[0], str):
        assert found == expected
    else:
        assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_store_gives_its_vectors(release, tmp_path):
    folder, expected = release
    encoder = LetterEncoder(log=tmp_path / "log", memory=folder / "store").fit(make_fixtures.texts())
    assert_array_equal(encoder.transform(make_fixtures.texts()), expected["letters"])
    assert not (tmp_path / "log").exists(), "every text was encoded by the release"


def test_vector_file_is_taken_up(release, tmp_path):
    folder, expected = release
    encoder = LetterEncoder(log=tmp_path / "log").fit(make_fixtures.texts())
    assert_array_equal(encoder.transform(make_fixtures.texts(), out=folder / "vectors.npy"), expected["letters"])
    assert not (tmp_path / "log").exists(), "every text was encoded by the release"


def test_training_goes_on_from_its_checkpoint(release, monkeypatch):
    folder, expected = release
    read, found = Checkpoint.read, []
    monkeypatch.setattr(Checkpoint, "read", lambda *given: found.append(read(*given)) or found[-1])
    frame, _ = make_fixtures.interactions()
    require_same(make_fixtures.two_tower(folder / "checkpoint").fit(frame), expected["checkpoint"])
    assert len(found) == 1 and found[0] is not None, "the checkpoint was read"


def test_comparison_is_read(release):
    folder, expected = release
    frame = Comparison.from_json(folder / "comparison" / "results.json").frame
    found = frame.set_index(["estimator", "metric"])["mean"]
    for estimator, metric, mean in zip(*expected["comparison"].values(), strict=True):
        assert found[estimator, metric] == pytest.approx(mean, rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*of another configuration:UserWarning")  # of the source they were made with
def test_folds_of_a_comparison_stay_as_they_are(release):
    folder, expected = release
    files = {path: path.read_bytes() for path in (folder / "comparison").glob("*.npz")}
    assert len(files) == 4
    found = make_fixtures.compared(folder / "comparison").frame.set_index(["estimator", "metric"])["mean"]
    for estimator, metric, mean in zip(*expected["comparison"].values(), strict=True):
        assert found[estimator, metric] == pytest.approx(mean, rel=1e-4)
    assert all(path.read_bytes() == content for path, content in files.items())


# ---- files of newer versions


def test_estimator_of_a_newer_version_is_refused():
    model = skllmrec.PopularityRecommender(feedback="explicit").fit([[0, 0], [1, 1]], [1.0, 2.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMATS, "estimator", FORMATS["estimator"] + 1)
        patch.setattr(formats, "__version__", NEWER)
        saved = pickle.dumps(model)
        assert_array_equal(pickle.loads(saved).predict([[0, 0]]), model.predict([[0, 0]]))  # noqa: S301 - own bytes
    message = (
        rf"PopularityRecommender was saved by skllmrec {NEWER} in estimator format {FORMATS['estimator'] + 1}, but "
        rf"this is skllmrec {skllmrec.__version__}.*install skllmrec {NEWER} or newer"
    )
    with pytest.raises(FileVersionError, match=message):
        pickle.loads(saved)  # noqa: S301 - own bytes


@pytest.mark.parametrize("found", [None, 0, -1, True, "1"])
def test_state_without_a_format_is_refused(found):
    state = skllmrec.EmbeddingWhitener().__getstate__()
    state["_skllmrec_format"]["format"] = found
    with pytest.raises(FileVersionError, match=r"before 0\.1\.0 or is damaged; make it again"):
        skllmrec.EmbeddingWhitener().__setstate__(state)
    with pytest.raises(FileVersionError, match="EmbeddingWhitener names no estimator format"):
        skllmrec.EmbeddingWhitener().__setstate__({"whiten": True})


def test_format_leaves_no_trace_on_the_estimator():
    model = skllmrec.EmbeddingWhitener(2)
    for other in (copy.copy(model), copy.deepcopy(model), clone(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert vars(other) == vars(model)
    state = model.__getstate__()
    before = copy.deepcopy(state)
    skllmrec.EmbeddingWhitener().__setstate__(state)
    assert state == before, "the state that came in is not changed"


PUBLIC = [getattr(skllmrec, name) for name in skllmrec._PUBLIC]


@pytest.mark.parametrize("kind", [obj for obj in PUBLIC if inspect.isclass(obj) and issubclass(obj, BaseEstimator)])
def test_every_estimator_names_its_format(kind):
    bases = kind.__mro__
    assert bases.index(VersionedStateMixin) < bases.index(BaseEstimator)


def test_checkpoint_of_a_newer_version_is_refused(tmp_path):
    import torch

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMATS, "training", FORMATS["training"] + 1)
        Checkpoint(tmp_path).write({"weight": torch.ones(1)}, {}, {})
    with pytest.raises(FileVersionError, match=f"training format {FORMATS['training'] + 1}.*reads formats up to"):
        Checkpoint(tmp_path).read({})


def test_vector_file_of_a_newer_version_is_refused(release):
    folder, _ = release
    about = folder / "vectors.npy.json"
    about.write_text(about.read_text().replace("skllmrec vectors 1", "skllmrec vectors 7"))
    with pytest.raises(FileVersionError, match=r"vectors\.npy\.json was saved by a newer skllmrec in vectors format 7"):
        LetterEncoder().fit(make_fixtures.texts()).transform(make_fixtures.texts(), out=folder / "vectors.npy")


def test_comparison_of_a_newer_version_is_refused(release):
    path = release[0] / "comparison" / "results.json"
    path.write_text(path.read_text(encoding="utf-8").replace("skllmrec.comparison/1", "skllmrec.comparison/7"))
    with pytest.raises(FileVersionError, match=r"results\.json was saved by skllmrec 0\.1\.0 in comparison format 7"):
        Comparison.from_json(path)


def test_store_of_a_newer_version_is_refused(release):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(release[0] / "store" / "embeddings.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(StoreError, match=r"version 7; expected .*, 2\)"):
        LetterEncoder(memory=release[0] / "store").fit(make_fixtures.texts()).transform(make_fixtures.texts())
