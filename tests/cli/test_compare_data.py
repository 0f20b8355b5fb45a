"""What the main job takes for text, positives and diversity."""

import re
from argparse import Namespace

import pandas as pd
import pytest

from skllmrec._cli.compare.data import find_text_columns, load_job_data

ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "plot": ["A long story about a man and the sea", None, "Two friends walk through a city at night"],
        "genres": ["drama, adventure", "comedy", "drama"],
        "title": ["The sea", "Laughing", "Night walk"],
        "user_tags": ["slow", None, None],
        "tags": ["old", "new", "dark"],
        "isbn": ["0345339681", "0261102214", "0451526341"],
        "cover_url": ["http://example.org/a", "http://example.org/b", None],
        "year": ["1954", "1960", "1972"],
        "pages": [120, 96, 310],
        "vintage": ["fine", "good", "poor"],
    }
)


def options(folder, **changes):
    defaults = {
        "data": str(folder), "target": "rating", "text": None, "feedback": "implicit", "threshold": None,
        "exclude_columns": [], "max_users": None, "seed": 0,
    }  # fmt: skip
    return Namespace(**{**defaults, **changes})


def folder_of(tmp_path, ratings, items=ITEMS, **columns):
    n = len(ratings)
    rows = {"user_id": [f"u{j % 4}" for j in range(n)], "item_id": ["abc"[j // 4 % 3] for j in range(n)]}
    pd.DataFrame({**rows, "rating": ratings, **columns}).to_parquet(tmp_path / "interactions.parquet")
    items.to_parquet(tmp_path / "items.parquet")
    return tmp_path


def test_titles_come_first_then_kinds_then_descriptions_by_length():
    columns, leaking = find_text_columns(ITEMS)
    assert columns == ["title", "genres", "plot", "vintage"]
    assert leaking == ["user_tags", "tags"]


def test_excluded_columns_and_codes_are_no_text():
    columns, leaking = find_text_columns(ITEMS, exclude=("plot", "tags"))
    assert columns == ["title", "genres", "vintage"]
    assert leaking == ["user_tags"]


def test_a_text_column_of_another_language_is_found():
    items = pd.DataFrame({"item_id": [1, 2], "名称": ["流浪地球", "霸王别姬"]})
    assert find_text_columns(items) == (["名称"], [])


@pytest.mark.parametrize(
    ("ratings", "given", "threshold", "kept"),
    [
        ([1, 2, 3, 4, 5, 4, 3, 2, 1, 5, 5, 5], None, 4.0, 6),
        ([1, 2, 3, 4, 5, 4, 3, 2, 1, 5, 5, 5], 2.0, 2.0, 10),
        ([1, 5, 7, 10, 8, 6, 7, 9, 3, 2, 1, 10], None, 7.0, 6),
        ([1] * 12, None, None, 12),
    ],
)
def test_positives(tmp_path, ratings, given, threshold, kept):
    folder = folder_of(tmp_path, ratings)
    data = load_job_data(options(folder, threshold=given))
    assert data.threshold == threshold
    assert len(data.X) == kept
    assert data.y is None
    rows = pd.Series(ratings, dtype=float)
    expected = rows[rows >= threshold] if threshold else rows
    assert data.strength.tolist() == expected.tolist()
    explicit = options(folder, threshold=given, feedback="explicit")
    if threshold is None:
        with pytest.raises(ValueError, match="--feedback explicit needs ratings that differ"):
            load_job_data(explicit)
    else:
        data = load_job_data(explicit)
        assert data.y.tolist() == ratings
        assert len(data.X) == 12


def test_both_encoders_read_the_same_text_and_what_is_left_out_is_said(tmp_path):
    data = load_job_data(options(folder_of(tmp_path, [1] * 12)))
    assert data.template == "{title}. {genres}. {plot}. {vintage}"
    assert data.texts.tolist()[1] == "Laughing. comedy. good"
    assert data.title == "title"
    assert data.diversity == ["tags"]  # which no model reads
    notes = "\n".join(data.notes)
    assert "left out of the text: user_tags, tags" in notes
    assert "text columns: title, genres, plot, vintage" in notes
    assert "no model reads it" in notes
    assert list(data.item_table.frame.columns) == ["item_id", "title", "genres", "plot", "vintage"]


def test_a_template_of_ones_own_may_name_tags(tmp_path):
    data = load_job_data(options(folder_of(tmp_path, [1] * 12), text="{title}: {tags}"))
    assert data.texts[0] == "The sea: old"
    assert data.columns == ["title", "tags"]
    assert not any("left out" in note for note in data.notes)
    assert not any("no model reads it" in note for note in data.notes)


def test_excluded_columns_are_read_by_nothing(tmp_path):
    data = load_job_data(options(folder_of(tmp_path, [1] * 12), exclude_columns=["tags", "user_tags", "genres"]))
    assert data.columns == ["title", "plot", "vintage"]
    assert not {"tags", "user_tags", "genres"} & {*data.items.columns, *data.diversity}
    with pytest.raises(ValueError, match="'genres', which is not in X"):
        load_job_data(options(tmp_path, text="{title}. {genres}", exclude_columns=["genres"]))


def test_repeated_pairs_are_one_row(tmp_path):
    folder = folder_of(tmp_path, [1] * 24)  # every pair twice
    assert len(load_job_data(options(folder)).X) == 12


def test_no_text_names_what_there_is(tmp_path):
    items = ITEMS[["item_id", "isbn", "pages", "tags"]]
    with pytest.raises(ValueError, match=r"no column of the items holds text \(isbn, pages, tags: empty"):
        load_job_data(options(folder_of(tmp_path, [1] * 12, items=items)))


def test_a_part_of_the_users_is_whole_and_seeded(tmp_path):
    folder = folder_of(tmp_path, [1] * 12)
    data, again = (load_job_data(options(folder, max_users=2)) for _ in range(2))
    assert data.X["user_id"].nunique() == 2
    assert len(data.X) == 6
    pd.testing.assert_frame_equal(data.X, again.X)


LONG = 76561198070234000


def plays(tmp_path, **columns):
    n = 12
    rows = {"userId": [f"u{j % 4}" for j in range(n)], "gameId": [LONG + j // 4 for j in range(n)], "hours": [1.5] * n}
    pd.DataFrame({**rows, **columns}).to_csv(tmp_path / "plays.csv", index=False)
    named = {"interactions": str(tmp_path / "plays.csv"), "user": "userId", "item": "gameId", "target": "hours"}
    return options("ml-100k", **named)


def test_one_file_alone_is_enough(tmp_path):
    data = load_job_data(plays(tmp_path))
    assert data.items["item_id"].tolist() == [LONG, LONG + 1, LONG + 2]
    assert data.texts[0] == f"item {LONG}"
    assert any("nothing describes the items" in note and "--items" in note for note in data.notes)
    described = load_job_data(plays(tmp_path, title=["The sea"] * 4 + ["Laughing"] * 4 + ["Night walk"] * 4))
    assert described.texts.tolist() == ["The sea", "Laughing", "Night walk"]


def test_files_are_read_with_their_own_columns_and_what_was_found_is_listed(tmp_path):
    given = plays(tmp_path, when=["2020-01-31"] * 12)
    pd.DataFrame({"gameId": [LONG, LONG + 1], "title": ["The sea", "Laughing"]}).to_csv(
        tmp_path / "games.tsv", sep="\t", index=False
    )
    given.items, given.time = str(tmp_path / "games.tsv"), "when"
    data = load_job_data(given)
    assert list(data.X.columns) == ["user_id", "item_id", "timestamp"]
    assert data.X["timestamp"].dtype.kind == "M"
    assert data.texts.tolist()[:2] == ["The sea", "Laughing"]
    note = next(note for note in data.notes if note.startswith("columns of plays.csv"))
    assert all(flag in note for flag in ("userId (--user)", "gameId (--item)", "hours (--target)", "when (--time)"))


def test_files_that_are_not_there_are_named_with_their_option(tmp_path):
    given = plays(tmp_path)
    given.items = str(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match=r"--items .*nowhere\.csv: there is no such file"):
        load_job_data(given)
    given.interactions = None
    with pytest.raises(ValueError, match="--items needs --interactions"):
        load_job_data(given)


def test_weights_keep_the_counts_of_all_events(tmp_path):
    plays = [0.0, 3.0, 5000.0, 1.0, 0.0, 7.5, 2.0, 9.0, 40.0, 1.0, 2.0, 800.0]
    folder = folder_of(tmp_path, plays)
    data = load_job_data(options(folder, weights="log"))
    assert data.y.tolist() == [count for count in plays if count > 0]
    assert len(data.X) == 10
    assert data.threshold is None
    assert any("CountWeighter('log')" in note for note in data.notes)
    assert load_job_data(options(folder, weights="log", threshold=5.0)).y.min() == 7.5
    for changes, message in (
        ({"feedback": "explicit"}, "--weights log weights events, but --feedback explicit"),
        ({"target": "none"}, "--weights log needs counts: name their column with --target"),
        ({"threshold": 1e6}, "--weights log leaves nothing: the largest count is 5000"),
    ):
        with pytest.raises(ValueError, match=message):
            load_job_data(options(folder, weights="log", **changes))


@pytest.mark.parametrize(
    ("hours", "kept", "says"),
    [
        (
            [0.2, 1.5, 1230.0] * 4,
            12,
            "positives: every interaction with hours > 0 (default: the values, from 0.2 to 1230",
        ),
        ([0.0, 1.5, 12.0] * 4, 8, "positives: 8 of 12 interactions with hours > 0"),
    ],
)
def test_hours_are_no_rating_scale_and_every_one_above_zero_counts(tmp_path, hours, kept, says):
    data = load_job_data(plays(tmp_path, hours=hours))
    assert data.threshold is None
    assert len(data.X) == kept
    (note,) = [note for note in data.notes if note.startswith("positives")]
    assert note.startswith(says)
    assert note.endswith("are no rating scale; change it with --threshold)")


def test_a_target_without_a_positive_names_its_range_and_the_options(tmp_path):
    with pytest.raises(
        ValueError, match=r"no hours is above 0 \(they are between -2 and 0\).*--threshold.*--target none"
    ):
        load_job_data(plays(tmp_path, hours=[-2.0, 0.0] * 6))


def written(tmp_path, content, **changes):
    """Options that name a file with this text."""
    (tmp_path / "plays.csv").write_text(content, encoding="utf-8")
    named = {"interactions": str(tmp_path / "plays.csv"), "user": "userId", "item": "gameId", "target": "stars"}
    return options("ml-100k", **{**named, **changes})


def plays_of(row, head="userId,gameId,stars,when\n"):
    return head + "".join(row(user, item, 3 * user + item) for user in range(6) for item in range(3))


def plain(user, item, n):
    return f"u{user},{item:03d},{1 + n % 5},2024-01-{1 + n:02d}\n"


@pytest.mark.parametrize(
    ("row", "changes", "says"),
    [
        (
            lambda u, i, n: plain(u, i, n) if n % 4 else f"u{u},{i:03d},,\n",
            {},
            "5 of 18 interactions without a",
        ),
        (lambda u, i, n: plain(u, i, n) * 2, {}, "18 of 36 interactions repeat a user and an item, of which the last"),
        (
            lambda u, i, n: plain(u, i, n) * 2,
            {"time": "when"},
            "18 of 36 interactions repeat .*the latest was",
        ),
        (lambda u, i, n: plain(u, i, n) if n % 4 else f"u{u},{i:03d},3,\n", {"time": "when"}, "missing in 5 rows"),
        (
            lambda u, i, n: f"u{u},{i:03d},3,noon\n",
            {"time": "when"},
            "when .--time., but its texts are no times",
        ),
    ],
    ids=["empty cells", "repeats", "repeats with times", "empty times", "times that are words"],
)
def test_what_was_left_out_of_a_file_is_said(tmp_path, row, changes, says):
    data = load_job_data(written(tmp_path, plays_of(row), **changes))
    assert any(re.search(says, note) for note in data.notes)
    assert data.quality.facts["items"] == "3"
    assert set(data.X["item_id"]) == {"000", "001", "002"}


@pytest.mark.parametrize(
    ("text", "changes", "says"),
    [
        (
            plays_of(plain, head=""),
            {},
            r"no column 'userId'; .*'u0', '000', '1'.* line with the names above.*--user",
        ),
        (
            plays_of(plain).replace("u0,", "NULL,"),
            {},
            r"plays\.csv: 3 rows have no 'userId'.*NA or NULL.*remove",
        ),
        (
            plays_of(plain).replace("u2,000,2", "u2,000,two"),
            {},
            r"'stars' .*not numbers, e.g. 'two' in row 6.*write",
        ),
        (plays_of(plain), {"time": "date"}, r"--time date: .*plays\.csv has no such column, only \['userId'"),
        (plays_of(plain), {"users": "nobody.csv"}, r"--users nobody\.csv: there is no such file"),
        (plays_of(plain), {"interactions": None, "users": "x.csv"}, r"--users needs --interactions FILE"),
        (plays_of(plain), {"target": "hours"}, r"no target column 'hours'.*\(--target names the column\)$"),
    ],
)
def test_errors_name_file_column_and_remedy(tmp_path, text, changes, says):
    with pytest.raises(ValueError, match=says):
        load_job_data(written(tmp_path, text, **changes))


def test_an_error_comes_with_what_was_found_before(tmp_path):
    (tmp_path / "games.csv").write_bytes("gameId,title\n000,电影大海\n001,电影\n002,大海\n".encode("gb18030"))
    given = written(tmp_path, plays_of(plain), items=str(tmp_path / "games.csv"), text="{titel}")
    with pytest.raises(ValueError, match=r"'titel', which is not in X(.|\n)*games\.csv was read as .*--encoding"):
        load_job_data(given)
    given.text, given.encoding = None, "gb18030"
    assert load_job_data(given).texts.tolist() == ["电影大海", "电影", "大海"]


def test_users_are_described_by_a_file_of_their_own(tmp_path):
    jobs = ["carpenter of boats", "teacher of maths"]
    (tmp_path / "users.csv").write_text("userId,job,age\n" + "".join(f"u{u},{jobs[u % 2]},{u}\n" for u in range(5)))
    given = written(tmp_path, plays_of(plain), users=str(tmp_path / "users.csv"))
    data = load_job_data(given)
    assert data.user_template == "{job}"
    assert data.user_texts.tolist() == [*(jobs[u % 2] for u in range(5)), ""]  # the sixth user has no row
    assert list(data.fit_tables["user_table"].frame.columns) == ["user_id", "job"]
    assert any("text of users: job" in note and "--user-text" in note for note in data.notes)
    given.user_text = "{age}"
    assert load_job_data(given).user_texts.tolist()[1] == "1"
    assert load_job_data(written(tmp_path, plays_of(plain))).fit_tables.keys() == {"item_table"}


@pytest.mark.parametrize(("protocol", "says"), [("warm", "--protocol temporal tests"), ("temporal", "as chosen")])
def test_advice_does_not_contradict_the_options(tmp_path, protocol, says):
    rows = "".join(f"u{n % 6},{n // 6:03d},{1 + n // 24},2024-{1 + n // 28:02d}-{1 + n % 28:02d}\n" for n in range(120))
    given = written(tmp_path, "userId,gameId,stars,when\n" + rows, time="when", protocol=protocol, threshold=1)
    findings = {finding.what.split()[0]: finding for finding in load_job_data(given).quality.findings}
    assert says in findings["drift"].advice
    given.interactions = str(tmp_path / "plays.csv")
    few = load_job_data(written(tmp_path, plays_of(plain), protocol=protocol, threshold=1)).quality.findings
    assert not any("add text features" in finding.advice for finding in few)
