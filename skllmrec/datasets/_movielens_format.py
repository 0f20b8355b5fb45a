"""Parse MovieLens 100K in the original format and in that of the recbole wheel into the same columns."""

import re
from collections.abc import Mapping

import numpy as np

from skllmrec._typing import Array

_YEAR = re.compile(r"(.*?) \((\d{4})\)(?: \(V\))?")  # (V): released on video
# an article that a catalogue moves to the end, after a comma; O is Portuguese
_ARTICLE = re.compile(r"([^()]+), (A|An|The|La|Le|Les|L'|Il|Lo|El|Los|Las|Der|Die|Das|Det|Den|O)(?=$|\)| \()")


def readable_title(title: str) -> str:
    """Move articles to the front: "Horseman, The (Hussard, Le)" becomes "The Horseman (Le Hussard)".

    Parameters
    ----------
    title : str
        Title in catalogue order, without the year.

    Returns
    -------
    str

    Examples
    --------
    >>> readable_title("Shawshank Redemption, The"), readable_title("Enfer, L'"), readable_title("Paris, Texas")
    ('The Shawshank Redemption', "L'Enfer", 'Paris, Texas')
    """
    return _ARTICLE.sub(lambda match: match[2] + ("" if match[2].endswith("'") else " ") + match[1], title)


def split_year(title: str) -> tuple[str, float]:
    """Split "Heat (1995)" into title and year; the year is NaN if the title has none.

    Parameters
    ----------
    title : str

    Returns
    -------
    title : str
        White space normalised.
    year : float
    """
    title = " ".join(title.split())
    match = _YEAR.fullmatch(title)
    return (match[1], float(match[2])) if match else (title, np.nan)


def _rows(content, separator, encoding):
    # splitlines would also split at Latin-1 characters that do not end a line of a file
    lines = content.decode(encoding).replace("\r\n", "\n").split("\n")
    return [line.split(separator) for line in lines if line]


def _columns(interactions, users, titles, genres):
    """Convert rows of strings to the typed columns of the three tables."""
    user, item, rating, timestamp = zip(*interactions, strict=True)
    user_id, age, gender, occupation, zip_code = zip(*users, strict=True)
    names, years = zip(*(split_year(title) for title in titles.values()), strict=True)
    return {
        "interactions": {
            "user_id": np.array(user, dtype=np.int64),
            "item_id": np.array(item, dtype=np.int64),
            "rating": np.array(rating, dtype=np.float64),
            "timestamp": np.array(timestamp, dtype=np.int64),
        },
        "items": {
            "item_id": np.array(list(titles), dtype=np.int64),
            "title": np.array([readable_title(name) for name in names]),
            "year": np.array(years, dtype=np.float64),
            # "unknown" is not a genre
            "genres": np.array([", ".join(name for name in row if name != "unknown") for row in genres]),
        },
        "users": {
            "user_id": np.array(user_id, dtype=np.int64),
            "age": np.array(age, dtype=np.int64),
            "gender": np.array(gender),
            "occupation": np.array(occupation),
            "zip_code": np.array(zip_code),
        },
    }


def parse_original(members: Mapping[str, bytes]) -> dict[str, dict[str, Array]]:
    """Parse ``u.data``, ``u.item``, ``u.genre`` and ``u.user`` of the original archive.

    Parameters
    ----------
    members : dict of str to bytes
        Content of each file, in Latin-1 without headers.

    Returns
    -------
    dict of str to dict of str to ndarray
        Columns of the tables ``interactions``, ``items``, ``users``.
    """
    names = [name for name, _ in _rows(members["u.genre"], "|", "latin-1")]
    items = _rows(members["u.item"], "|", "latin-1")
    genres = [[name for name, flag in zip(names, row[-len(names) :], strict=True) if flag == "1"] for row in items]
    return _columns(
        _rows(members["u.data"], "\t", "latin-1"),
        _rows(members["u.user"], "|", "latin-1"),
        {row[0]: row[1] for row in items},
        genres,
    )


def parse_recbole(members: Mapping[str, bytes]) -> dict[str, dict[str, Array]]:
    """Parse ``ml-100k.inter``, ``.item`` and ``.user`` of the recbole wheel.

    Parameters
    ----------
    members : dict of str to bytes
        Content of each file, in UTF-8 with a header, separated by tabs. The year is not part of the title.

    Returns
    -------
    dict of str to dict of str to ndarray
        Columns of the tables ``interactions``, ``items``, ``users``, as in `parse_original`.
    """
    interactions, items, users = (
        _rows(members[f"ml-100k.{name}"], "\t", "utf-8")[1:] for name in ("inter", "item", "user")
    )
    # one film has neither title nor year: it is "unknown" in the original, misspelt in the wheel
    titles = {number: "unknown" if title == "unkonwn" else f"{title} ({year})" for number, title, year, _ in items}
    return _columns(interactions, users, titles, [row[3].split(" ") for row in items])
