"""The content of a store: encoders and their numbers of vectors."""

import hashlib
import json
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skllmrec._store._database import Database


def _moment(seconds):
    """Time of a stamp; None if it is damaged or there is none."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def encoder_id(identity: bytes) -> str:
    """Short name of an encoder: the start of the SHA-256 of its identity as the store writes it."""
    return hashlib.sha256(identity).hexdigest()[:12]


def _spaces(database):
    """Identity, as written, of every encoder by its number in the file."""
    return {
        space: identity if isinstance(identity, bytes) else str(identity).encode()
        for space, identity in database.execute("SELECT id, identity FROM spaces").fetchall()
    }


def _parse_identity(identity):
    try:
        return json.loads(identity)
    except ValueError:
        return None  # damaged


def list_encoders(database: "Database") -> list[dict[str, Any]]:
    """List the encoders whose vectors are in the file.

    Parameters
    ----------
    database : Database

    Returns
    -------
    list of dict
        ``id``, ``identity`` (dict; None if damaged), ``texts``, ``bytes``, ``first_use`` and ``last_use``
        (datetime, UTC), most recently used first.
    """
    sums = {
        space: rest
        for space, *rest in database.execute(
            "SELECT space, count(*), sum(CAST(bytes AS INTEGER)), CAST(min(written) AS INTEGER), "
            "CAST(max(used) AS INTEGER) FROM uses GROUP BY space"
        ).fetchall()
    }
    encoders: list[tuple[int, dict[str, Any]]] = []
    for space, identity in _spaces(database).items():
        texts, size, written, used = sums.get(space, (0, 0, None, None))
        dates = {"first_use": _moment(written), "last_use": _moment(used)}
        encoder = {"id": encoder_id(identity), "identity": _parse_identity(identity), "texts": texts, "bytes": size}
        encoders.append((used or 0, {**encoder, **dates}))
    return [encoder for _, encoder in sorted(encoders, key=itemgetter(0), reverse=True)]


def find_encoder(database: "Database", encoder: str | dict[str, Any]) -> int:
    """Find the number in the file of an encoder.

    Parameters
    ----------
    database : Database
    encoder : str or dict
        Its id, or the start of it; or its identity.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is none, or several.
    """
    ids = {space: (encoder_id(written), written) for space, written in _spaces(database).items()}
    if isinstance(encoder, str):
        found = [space for space, (name, _) in ids.items() if encoder and name.startswith(encoder)]
    else:
        identity = json.dumps(encoder, sort_keys=True).encode()
        found = [space for space, (_, written) in ids.items() if written == identity]
    if len(found) != 1:
        there = ", ".join(sorted(name for name, _ in ids.values())) or "none"
        what = "no encoder" if not found else f"{len(found)} encoders"
        raise ValueError(f"encoder={encoder!r} names {what} of the store: give the id of one ({there})")
    return found[0]
