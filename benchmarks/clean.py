"""Megabytes of text that TextCleaner cleans in a second on one core, in one call and text by text.

    python -m benchmarks.clean --data FOLDER [--quick]

Every text column of the catalogues in the folder with at least 100 kB, repeated to some megabytes. "one by one" calls
`transform` for each text, and must give the same texts. "changed" is the share of texts that cleaning changed. Seconds
are of processor time, least of five runs. 1 MB is 1,000,000 bytes of UTF-8.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.common.measure import add_data_option, machine, markdown, median, require_data, take_turns, versions
from skllmrec.preprocessing import TextCleaner

LEAST = 100_000  # characters of a column
_HEADS = ("data", "column", "median characters", "changed", "MB/s", "one by one, MB/s")


def text_columns(folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (data set, column, texts) of all catalogues."""
    for path in sorted(folder.glob("*/items.parquet")):
        items = pd.read_parquet(path)
        for name in items.columns:
            texts = [text for text in items[name] if isinstance(text, str)]
            if sum(map(len, texts)) >= LEAST:
                yield path.parent.name, name, texts


def n_bytes(texts: list[str]) -> int:
    """Size in UTF-8."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def measure(texts: list[str], wanted: int, rounds: int) -> tuple[list[float], float]:
    """Megabytes a second, joined and one by one, and the share of texts that changed."""
    texts = texts * max(1, round(wanted / n_bytes(texts)))
    few = texts[: max(1, len(texts) // 20)]  # one by one is slow
    cleaner = TextCleaner()
    timings = take_turns(
        {
            "joined": lambda: cleaner.transform(texts),
            "one by one": lambda: [cleaner.transform([text])[0] for text in few],
        },
        rounds,
    )
    if timings["one by one"].result != list(timings["joined"].result[: len(few)]):
        raise SystemExit("texts cleaned one by one differ from those cleaned together")
    changed = sum(old != new for old, new in zip(texts, timings["joined"].result, strict=True)) / len(texts)
    speed = n_bytes(texts) / min(timings["joined"].cpu), n_bytes(few) / min(timings["one by one"].cpu)
    return [value / 1e6 for value in speed], changed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_data_option(parser)
    parser.add_argument("--quick", action="store_true", help="less text, two runs: shows that it works")
    options = parser.parse_args()
    require_data(parser, options)
    wanted, rounds = (200_000, 2) if options.quick else (4_000_000, 5)
    rows = []
    for data, name, texts in text_columns(options.data):
        (joined, single), changed = measure(texts, wanted, rounds)
        length = f"{median([len(text) for text in texts]):.0f}"
        shown = data, name, length, f"{changed:.1%}", f"{joined:.0f}", f"{single:.2f}"
        rows.append(dict(zip(_HEADS, shown, strict=True)))
    print(f"{machine()}; {versions('numpy', 'pandas')}\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
