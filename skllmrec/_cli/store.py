"""The command `store`: upkeep of a folder of text vectors."""

import json
import warnings
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from skllmrec._store._database import FILE
from skllmrec._store._store import EmbeddingStore
from skllmrec._store._units import parse_bytes, parse_seconds, show_bytes
from skllmrec._terminal import complain, say
from skllmrec.exceptions import StoreError, StoreWarning

_DESCRIPTION = """\
Look after the folder that keeps the vectors of texts (memory= of an encoder, --store of compare). Exit status: 0;
1 where verify finds damage; 2 where an option or the folder does not fit."""
_REPORT_LINES = {
    "sound": "vectors, checksum right",
    "damaged": "vectors, checksum wrong",
    "uses": "vectors whose time of use is lost, or the reverse",
    "dead_claims": "texts that a killed process was encoding",
    "dead_owners": "files of killed processes",
    "salvaged": "vectors taken over from damaged files",
}


def _type(parse: Callable[[str, str], Any], name: str) -> Callable[[str], Any]:
    """Make an argparse type of a parser of units."""

    def convert(text: str) -> Any:
        try:
            return parse(text, name)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    return convert


def add_parser(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the `store` command.

    Parameters
    ----------
    subparsers : argparse subparsers
    """
    parser = subparsers.add_parser("store", help="look after a folder of text vectors", description=_DESCRIPTION)
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")

    def action(name: str, run: Callable[..., Any], text: str) -> Callable[..., Any]:
        added = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        added.add_argument("path", metavar="PATH", help="folder of the store")
        added.add_argument("--json", action="store_true", help="print JSON instead of a table")
        added.set_defaults(run=_run, act=run)
        return added.add_argument

    action("inspect", _inspect, "list encoders, their texts, sizes and times of use")
    action("stats", _stats, "count texts, encodings and bytes")
    add = action("prune", _prune, "remove what meets all conditions, least recently used first")
    add(
        "--older-than", type=_type(parse_seconds, "--older-than"), metavar="AGE", help="last used so long ago: 30d, 12h"
    )
    add("--max-bytes", type=_type(parse_bytes, "--max-bytes"), metavar="SIZE", help="until the file is so small: 2GB")
    add("--encoder", metavar="ID", help="of one encoder: the id that inspect shows, or the start of it")
    add("--dry-run", action="store_true", help="only report what would be removed")
    add = action("verify", _verify, "compare every vector with its checksum; look for what killed processes left")
    add("--repair", action="store_true", help="remove what is damaged or left over; it is encoded again when wanted")


def _print_lines(*lines):
    for line in lines:
        say(line)


def _table(rows):
    """Lay out a table with columns as wide as needed; the first row is the head, numbers go to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [all(row[i][:1].isdigit() for row in rows[1:]) for i in range(len(widths))]
    return [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in rows
    ]


def _day(moment):
    return "unknown" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _identity(identity):
    """Write an identity in a line, long checksums cut."""
    if not isinstance(identity, dict):
        return "damaged" if identity is None else str(identity)
    return ", ".join(f"{key}={str(value)[:12] if key == 'weights' else value}" for key, value in identity.items())


def _inspect(store, options):
    found = store.inspect()

    def show() -> None:
        _print_lines(f"{found['path']}: {found['texts']:,} texts, {show_bytes(found['bytes'])}")
        if found["encoders"]:
            head = ("encoder", "texts", "vectors", "first use", "last use")
            rows = [
                (e["id"], f"{e['texts']:,}", show_bytes(e["bytes"]), _day(e["first_use"]), _day(e["last_use"]))
                for e in found["encoders"]
            ]
            _print_lines("", *_table([head, *rows]), "")
            _print_lines(*(f"{e['id']}: {_identity(e['identity'])}" for e in found["encoders"]))
        _print_lines(
            *(
                f"damaged file set aside: {name} (verify --repair takes over what is sound)"
                for name in found["set_aside"]
            )
        )

    return found, show, 0


def _stats(store, options):
    found = store.stats()
    del found["hits"]  # of this process, which has looked nothing up

    def show() -> None:
        _print_lines(*_table([("", ""), *((f"{value:,}", name) for name, value in found.items())])[1:])

    return found, show, 0


def _prune(store, options):
    done = store.prune(
        older_than=options.older_than, encoder=options.encoder, max_bytes=options.max_bytes, dry_run=options.dry_run
    )

    def show() -> None:
        verb = "would be removed" if options.dry_run else "removed"
        _print_lines(f"{done['texts']:,} texts {verb}, {show_bytes(done['bytes'])} of vectors")
        if not options.dry_run:
            _print_lines(f"size of the files: {show_bytes(done['before'])} before, {show_bytes(done['after'])} now")

    return done, show, 0


def _verify(store, options):
    report = store.verify(repair=options.repair)
    damage = bool(report["damaged"] or report["file"])

    def show() -> None:
        rows = [(f"{report[key]:,}", text) for key, text in _REPORT_LINES.items()]
        _print_lines(*_table([("", ""), *rows])[1:])
        if report["file"]:
            _print_lines(f"the structure of the file is damaged: {report['file']}")
        _print_lines(*(f"damaged file set aside earlier: {name}" for name in report["set_aside"]))
        left = damage or any(report[key] for key in ("uses", "dead_claims", "dead_owners", "set_aside"))
        _print_lines(
            "repaired" if options.repair and left else "run with --repair to put this right" if left else "all is well"
        )

    return report, show, int(damage)


def _json_value(value):
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value)}")


def _run(options: Namespace) -> int:
    """Run an action; errors and warnings are one line each."""
    path = Path(options.path).expanduser()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        try:
            if not (path / FILE).is_file():
                raise StoreError(f"there is no store in {options.path}: no file {FILE}")
            found, show, status = options.act(EmbeddingStore(path), options)
        except (ValueError, OSError) as error:
            complain(f"error: {' '.join(str(error).split())}")
            return 2
    for warning in caught:
        complain(f"warning: {warning.message}")
    if options.json:
        _print_lines(json.dumps(found, indent=2, default=_json_value))
    else:
        show()
    return status
