"""BaseEncoder with inputs that are no texts: small grey images, as arrays and as files."""

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skllmrec import EmbeddingStore, FeatureMFRecommender
from skllmrec.base import BaseEncoder, BaseTextEncoder, _encoder
from skllmrec.exceptions import VectorFileError
from skllmrec.testing import check_encoder


class ImageEncoder(BaseEncoder):
    """Moments of images; an image is an array of two dimensions, or the path of a file of one."""

    _input_kind = "image"

    def __init__(self, power=2, log=None, memory=None, verbose=False):
        self.power = power
        self.log = log
        self.memory = memory
        self.verbose = verbose

    def _check_input(self, image):
        if isinstance(image, (str, os.PathLike)):
            if not Path(image).is_file():
                raise ValueError(f"there is no file {str(image)!r}")
        elif np.ndim(image) != 2:
            raise ValueError(f"it has {np.ndim(image)} dimensions instead of 2")
        return image

    def _fingerprint(self, image):
        pixels = read(image)
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).digest()

    def _fit_encoder(self, images):
        return self.power

    def _start(self, images):
        return ImageJob(images, self.power, self.log)

    def _identity(self):
        return {"power": self.power}


def read(image):
    return np.asarray(image if isinstance(image, np.ndarray) else np.load(image), dtype=np.uint8)


class ImageJob:
    def __init__(self, images, power, log):
        self.images, self.power, self.log = images, power, log
        self.costs = np.ones(len(images), dtype=np.intp)
        self.groups = np.array_split(np.arange(len(images)), max(1, len(images) // 3))

    def encode(self, positions):
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write("image\n" * len(positions))
        return expected([self.images[position] for position in positions], self.power)


def expected(images, power=2):
    rows = [[np.mean(read(image) ** float(k + 1)) for k in range(power)] for image in images]
    return np.array(rows, dtype=np.float32)


def n_encoded(log):
    """Images that were encoded since the last call."""
    if not log.exists():
        return 0
    n = len(log.read_text().splitlines())
    log.unlink()
    return n


STACK = np.random.default_rng(0).integers(0, 200, (20, 4, 3), dtype=np.uint8)
IMAGES = [*STACK[:12], *(image.copy() for image in STACK[:8]), *STACK[12:], STACK[0][:, :2]]  # 21 distinct ones of 29


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_encoder, "BLOCK_INPUTS", 6)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def paths(tmp_path):
    """Files with the images: equal images under several names."""
    (tmp_path / "images").mkdir()
    names = [tmp_path / "images" / f"{i}.npy" for i in range(len(IMAGES))]
    for name, image in zip(names, IMAGES, strict=True):
        np.save(name, image)
    return names


def test_distinct_images_are_encoded_once(log, paths):
    encoder = ImageEncoder(log=log).fit(IMAGES)
    for images in (
        IMAGES,
        tuple(IMAGES),
        paths,
        [str(path) for path in paths],
        pd.Series(paths),
        [*IMAGES[:9], *paths],
    ):
        vectors = encoder.transform(images)
        assert vectors.dtype == np.float32
        assert_array_equal(vectors, expected(images))
        assert n_encoded(log) == 21
    for texts in (np.array([str(path) for path in paths])[:, None], pd.DataFrame({"file": paths})):
        assert_array_equal(encoder.transform(texts), expected(IMAGES))
    assert_array_equal(encoder.transform(STACK), expected(STACK))
    objects = np.empty(len(IMAGES), dtype=object)
    objects[:] = IMAGES
    for images in (objects, objects[:, None], pd.Series(IMAGES), pd.Series(IMAGES).to_frame("image")):
        assert_array_equal(encoder.transform(images), expected(IMAGES))


def test_iterators(log):
    encoder = ImageEncoder(log=log).fit(iter(IMAGES))
    assert_array_equal(encoder.transform(iter(IMAGES)), expected(IMAGES))
    assert n_encoded(log) == len(IMAGES)  # equal ones are in different blocks
    assert_array_equal(ImageEncoder().fit_transform(image for image in IMAGES), expected(IMAGES))
    with pytest.raises(ValueError, match=r"Found no images .* minimum of 1 is required by ImageEncoder"):
        encoder.transform(iter([]))


def test_blocks_are_limited_in_bytes(monkeypatch):
    monkeypatch.setattr(_encoder, "BLOCK_BYTES", 40)  # three images of 12 bytes
    encoder = ImageEncoder()
    assert [len(block) for block in encoder._cut_blocks(STACK[:8])] == [3, 3, 2]
    assert [len(block) for block in encoder._cut_blocks([STACK, *STACK[:2]])] == [1, 2]
    assert [len(block) for block in encoder._cut_blocks(["a.npy"] * 10)] == [6, 4]  # by the length of a path
    assert [len(block) for block in encoder._cut_blocks([Path("a.npy")] * 10)] == [6, 4]


def test_store_is_shared_by_encoders_arrays_and_files(log, paths, tmp_path):
    store = tmp_path / "store"
    ImageEncoder(log=log, memory=store).fit(IMAGES).transform(iter(IMAGES))
    assert n_encoded(log) == 21
    again = pickle.loads(pickle.dumps(ImageEncoder(log=log, memory=EmbeddingStore(store)).fit(IMAGES)))  # noqa: S301
    for images in (IMAGES, paths, iter(paths)):
        again.transform(images)
    assert n_encoded(log) == 0
    np.save(paths[3], IMAGES[3] + 1)  # another image under the same name
    assert_array_equal(again.transform(paths), expected(paths))
    assert n_encoded(log) == 1
    assert again.set_params(power=3).fit(IMAGES).transform(IMAGES).shape == (29, 3)
    assert n_encoded(log) == 21
    assert EmbeddingStore(store).stats()["encoders"] == 2


def test_store_is_shared_by_processes(log, paths, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_encoder import *\n"
        "ImageEncoder(memory=sys.argv[2]).fit(IMAGES).transform(IMAGES)\n"
    )
    store = tmp_path / "store"
    subprocess.run([sys.executable, "-c", code, Path(__file__).parent, store], check=True)
    assert_array_equal(ImageEncoder(log=log, memory=store).fit(paths).transform(paths), expected(IMAGES))
    assert n_encoded(log) == 0


def until_it_breaks(images, n):
    yield from images[:n]
    raise ConnectionError("the source of images is gone")


def test_file_is_resumed(log, paths, tmp_path):
    encoder, out = ImageEncoder(log=log).fit(IMAGES), tmp_path / "vectors.npy"
    with pytest.raises(ConnectionError):
        encoder.transform(until_it_breaks(IMAGES, 15), out=out)
    assert not out.exists()
    assert n_encoded(log) == 12
    assert_array_equal(encoder.transform(paths, out=out), expected(IMAGES))  # the same images, now from files
    assert n_encoded(log) == 17
    assert_array_equal(encoder.transform(iter(IMAGES), out=out), expected(IMAGES))
    assert n_encoded(log) == 0
    with pytest.raises(VectorFileError, match=r"has vectors of other images: the first 29 differ"):
        encoder.transform(IMAGES[::-1], out=out)
    with pytest.raises(VectorFileError, match=r"has vectors of 29 images, and here are more"):
        encoder.transform([*IMAGES, IMAGES[0]], out=out)


def test_array_of_the_caller(paths):
    encoder = ImageEncoder().fit(IMAGES)
    out = np.empty((len(paths), 2), dtype=np.float32)
    assert encoder.transform(iter(paths), out=out) is out
    assert_array_equal(out, expected(IMAGES))
    with pytest.raises(ValueError, match=r"out has shape \(29, 2\), but 20 images of 2 dimensions need \(20, 2\)"):
        encoder.transform(STACK, out=out)
    with pytest.raises(ValueError, match=r"out has 29 rows, but the iterator gave only 20 images"):
        encoder.transform(iter(STACK), out=out)


BAD = [
    ([*IMAGES, np.zeros(3)], "ImageEncoder: the image at position 29{where}: it has 1 dimensions instead of 2"),
    ([*IMAGES, "no.npy"], "ImageEncoder: the image at position 29{where}: there is no file 'no.npy'"),
    ([IMAGES[0], None], r"ImageEncoder: the image at position 1{where} is missing \(None\)"),
    ([IMAGES[0], float("nan")], r"ImageEncoder: the image at position 1{where} is missing \(nan\)"),
]


@pytest.mark.parametrize(("images", "message"), BAD)
def test_bad_image_is_named_with_its_position(images, message, log, tmp_path):
    encoder = ImageEncoder(log=log).fit(IMAGES)
    for out in (None, tmp_path / "vectors.npy"):
        with pytest.raises(ValueError, match=message.format(where="")):
            encoder.transform(images, out=out)
    assert n_encoded(log) == 0
    with pytest.raises(ValueError, match=message.format(where=" of the iterator")):
        encoder.transform(iter(images))
    with pytest.raises(ValueError, match=message.format(where=" in column 'picture'")):
        encoder.transform(pd.Series(images, name="picture"))
    with pytest.raises(ValueError, match=message.format(where="")):
        ImageEncoder().fit(images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("a.npy", "takes one image per row, but got a single str 'a.npy': put it in a list"),
        (Path("a.npy"), "takes a list, array, Series, one-column frame or iterator of images, but got PosixPath"),
        ({}, "iterator of images, but got dict"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"takes one column of images, but got shape \(1, 2\) with columns"),
        (np.array([["x", "y"]]), r"takes one column of images, but got shape \(1, 2\): select one column$"),
        ([], "Found no images"),
        (np.empty((0, 4, 3)), "Found no images"),
    ],
)
def test_what_is_no_column(images, message):
    for method in (ImageEncoder().fit, ImageEncoder().fit(IMAGES).transform):
        with pytest.raises(ValueError, match=message.replace("PosixPath", type(Path()).__name__)):
            method(images)


def test_broken_model_is_named_in_images():
    class Broken(ImageEncoder):
        def _start(self, images):
            job = super()._start(images)
            job.encode = lambda positions: np.full((len(positions), 2), np.nan)
            return job

    with pytest.raises(ValueError, match="Broken gives NaN or infinity for 3 of 3 images"):
        Broken().fit(STACK).transform(STACK)


def test_progress_bar_counts_images(capfd):
    pytest.importorskip("tqdm")
    ImageEncoder(verbose=True).fit(STACK).transform(STACK)
    bar = capfd.readouterr().err
    assert "ImageEncoder, 20 images: 100%" in bar
    assert "images/s" in bar


def test_scikit_learn(paths):
    encoder = ImageEncoder(power=3).fit(paths)
    assert not hasattr(clone(encoder), "embedding_size_")
    frame = clone(encoder).set_output(transform="pandas").fit_transform(pd.Series(paths, index=range(5, 34)))
    assert list(frame.columns) == ["imageencoder0", "imageencoder1", "imageencoder2"]
    assert list(frame.index) == list(range(5, 34))
    assert_array_equal(frame.to_numpy(), expected(IMAGES, 3))
    assert_array_equal(make_pipeline(encoder).fit_transform(STACK), expected(STACK, 3))
    tags = get_tags(encoder).input_tags
    assert (tags.string, tags.one_d_array, tags.two_d_array) == (False, True, False)


def test_encoder_without_identity_stores_nothing(tmp_path):
    class Nameless(ImageEncoder):
        _identity = BaseEncoder._identity

    with pytest.raises(NotImplementedError, match="Nameless does not name what its vectors depend on"):
        Nameless().fit(STACK).transform(STACK, out=tmp_path / "vectors.npy")


def test_methods_of_a_subclass():
    assert BaseEncoder.__abstractmethods__ == {"_fit_encoder", "_start", "_fingerprint"}
    assert BaseTextEncoder.__abstractmethods__ == {"_fit_encoder", "_start"}


@pytest.mark.parametrize("features", ["file", ["file"]])
def test_files_as_features_of_items(paths, features, log):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"user": rng.integers(0, 15, 200), "item": rng.integers(0, 29, 200)})
    rows["file"] = [str(paths[item]) for item in rows["item"]]
    model = FeatureMFRecommender(
        2,
        user="user",
        item="item",
        item_features=features,
        item_encoder=ImageEncoder(log=log),
        feedback="implicit",
        random_state=0,
    )
    model.fit(rows)
    assert n_encoded(log) <= 21
    assert_array_equal(model.item_encoder_.transform(paths[:3]), expected(IMAGES[:3]))
    assert_allclose(model.predict(rows[:5]), pickle.loads(pickle.dumps(model)).predict(rows[:5]))  # noqa: S301
    ids, scores = model.recommend(rows["user"].unique()[:3], n_items=2)
    assert ids.shape == (3, 2)
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match="there is no file"):
        clone(model).fit(rows.assign(file="no.npy"))


def test_contract(tmp_path):
    for memory in (None, tmp_path):
        outcomes = check_encoder(ImageEncoder(memory=memory), inputs=IMAGES[:12])
        assert {name for name, outcome in outcomes.items() if outcome != "passed"} == {"check_bad_texts"}
    with pytest.raises(AssertionError, match=r"check_texts_do_not_influence_each_other"):
        check_encoder(Moving(), inputs=IMAGES[:12])


class Moving(ImageEncoder):
    def transform(self, X, *, out=None):
        vectors = super().transform(X, out=out)
        return vectors if out is not None else vectors + np.float32(len(vectors))
