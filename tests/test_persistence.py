"""A fitted recommender on disk: its arrays and little more, no weights, the same predictions in a fresh process."""

import shutil
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from fresh_process import run_python
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.pipeline import make_pipeline

from skllmrec.encoders import EmbeddingWhitener, LLMTextEncoder
from skllmrec.preprocessing import TextTemplate
from skllmrec.recommenders import FeatureMFRecommender

USERS, ITEMS = 3000, 400
WORDS = ["star", "sea", "night", "red", "letter", "storm", "piano", "robot", "war", "cook"]
NAMES = {"user": "user_id", "item": "item_id", "random_state": 0}


def make_frame(seed=0, n_users=USERS, n_items=ITEMS, n_per_user=15):
    """Interactions of users with distinct items, a title and a genre for each item."""
    rng = np.random.default_rng(seed)
    items = np.argsort(rng.random((n_users, n_items)), axis=1)[:, :n_per_user].ravel()
    titles = np.array([" ".join(WORDS[i % 10 ** (p + 1) // 10**p] for p in range(3)) for i in range(n_items)])
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(n_users), n_per_user) + 1000, "item_id": items + 5})
    frame = frame.assign(title=titles[items], genre=np.where(items % 2, "drama", "comedy"))
    return frame, rng.integers(1, 6, len(frame)).astype(float)


def arrays_in(value, found=None):
    """Every distinct array reachable from an object, by the id of its memory."""
    found = {} if found is None else found
    if id(value) in found:
        return found
    if isinstance(value, np.ndarray):
        found[id(value)] = value
    elif sparse.issparse(value):
        for part in (value.data, value.indices, value.indptr):
            arrays_in(part, found)
    elif isinstance(value, dict):
        for part in value.values():
            arrays_in(part, found)
    elif isinstance(value, list | tuple):
        for part in value:
            arrays_in(part, found)
    else:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        arrays_in([getattr(value, name) for name in slots if hasattr(value, name)], found)
        arrays_in(getattr(value, "__dict__", {}), found)
    return found


def encoder(folder):
    return make_pipeline(TextTemplate("{title}. {genre}"), LLMTextEncoder(folder), EmbeddingWhitener())


@pytest.fixture(scope="module")
def fitted(tiny_bert, tmp_path_factory):
    """A fitted recommender, the file it was dumped to, the folder of its model, and rows to ask about."""
    folder = tmp_path_factory.mktemp("model") / "bert"
    shutil.copytree(tiny_bert, folder)
    frame, y = make_frame()
    recommender = FeatureMFRecommender(
        32, **NAMES, item_features=["title", "genre"], item_encoder=encoder(folder), max_iter=2, feedback="explicit"
    ).fit(frame, y)
    file = tmp_path_factory.mktemp("dump") / "recommender.joblib"
    joblib.dump(recommender, file)
    return recommender, file, folder, frame


def test_file_is_its_arrays_and_little_more(fitted):
    recommender, file, _, _ = fitted
    recommender.recommend(recommender.users_[:5])  # look-ups made on the way stay out of the file
    n_bytes = sum(array.nbytes for array in arrays_in(recommender).values())
    public = [recommender.user_factors_, recommender.item_factors_, recommender.users_, recommender.seen_]
    assert n_bytes >= sum(array.nbytes for array in arrays_in(public).values())
    assert file.stat().st_size <= 1.2 * n_bytes
    again = file.with_suffix(".again")
    joblib.dump(recommender, again)
    assert again.stat().st_size <= 1.001 * file.stat().st_size, "the file grows with use"


def test_no_weights_inside(fitted):
    from safetensors.numpy import load_file

    _, file, folder, _ = fitted
    content = file.read_bytes()
    tensors = load_file(folder / "model.safetensors")
    assert len(tensors) > 10
    for name, tensor in tensors.items():
        if np.ptp(tensor.ravel()[-16:]) > 0:  # not only zeros or ones
            assert tensor.tobytes()[-64:] not in content, f"{name} is in the file"


LOAD = """
import sys
import joblib, numpy as np, pandas as pd
recommender = joblib.load(sys.argv[1])
rows = pd.read_pickle(sys.argv[2])
ids, scores = recommender.recommend(recommender.users_[:50], n_items=7)
np.savez(sys.argv[3], predicted=recommender.predict(rows), ids=ids, scores=scores)
assert "torch" not in sys.modules, "known items need no language model"
"""


def test_fresh_process_predicts_the_same_without_the_model(fitted, tmp_path):
    recommender, file, folder, frame = fitted
    frame.iloc[:500].to_pickle(tmp_path / "rows.pkl")
    folder.rename(folder.with_name("away"))
    try:
        run_python(LOAD, file, tmp_path / "rows.pkl", tmp_path / "out.npz")
    finally:
        folder.with_name("away").rename(folder)
    out = np.load(tmp_path / "out.npz")
    assert_allclose(out["predicted"], recommender.predict(frame.iloc[:500]))
    ids, scores = recommender.recommend(recommender.users_[:50], n_items=7)
    assert_array_equal(out["ids"], ids)
    assert_allclose(out["scores"], scores, rtol=1e-6)


NEW_ITEM = """
import sys
import joblib, numpy as np, pandas as pd
np.save(sys.argv[3], joblib.load(sys.argv[1]).predict(pd.read_pickle(sys.argv[2])))
"""


def test_fresh_process_encodes_new_items(fitted, tmp_path):
    recommender, file, _, frame = fitted
    rows = frame.iloc[:3].assign(item_id=[-1, -2, -3], title=["a dog", "", "red storm"])
    rows.to_pickle(tmp_path / "rows.pkl")
    run_python(NEW_ITEM, file, tmp_path / "rows.pkl", tmp_path / "out.npy")
    assert_allclose(np.load(tmp_path / "out.npy"), recommender.predict(rows), rtol=1e-4)


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_string_ids_cost_their_letters(feedback, tmp_path):
    frame, y = make_frame(n_users=500, n_items=100)
    frame = frame.assign(user_id="u" + frame["user_id"].astype(str), item_id="i" + frame["item_id"].astype(str))
    recommender = FeatureMFRecommender(32, **NAMES, feedback=feedback, max_iter=1)
    recommender.fit(frame, y if feedback == "explicit" else None)
    joblib.dump(recommender, tmp_path / "file")
    n_bytes = sum(array.nbytes for array in arrays_in(recommender).values())
    assert (tmp_path / "file").stat().st_size <= 1.2 * n_bytes
    assert_array_equal(joblib.load(tmp_path / "file").predict(frame), recommender.predict(frame))


RECOMMEND = """
import sys
import joblib, numpy as np

def peak():
    # ru_maxrss would start from the peak of the parent process
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024

recommender = joblib.load(sys.argv[1])
recommender.recommend(recommender.users_[:2], n_items=10)  # compiles
before = peak()
ids, scores = recommender.recommend(recommender.users_, n_items=10)
assert ids.shape == scores.shape == (50_000, 10) and np.isfinite(scores).all()
assert (np.diff(scores, axis=1) <= 0).all()
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_recommend_for_many_users_stays_within_memory(tmp_path):
    n_users, n_items, rng = 50_000, 20_000, np.random.default_rng(0)
    rows = np.column_stack([np.arange(n_users), rng.permutation(n_users) % n_items])
    rows = np.vstack(
        [rows, np.column_stack([rng.integers(n_users, size=100_000), rng.integers(n_items, size=100_000)])]
    )
    recommender = FeatureMFRecommender(16, feedback="implicit", max_iter=1, random_state=0).fit(rows)
    assert recommender.seen_.shape == (n_users, n_items)
    joblib.dump(recommender, tmp_path / "file")
    extra = int(run_python(RECOMMEND, tmp_path / "file")[0])
    assert extra > 2**20, "the lists alone take more: this is not the peak of recommend"
    assert extra < 2**30, f"recommend took {extra / 2**20:.0f} MiB more"
