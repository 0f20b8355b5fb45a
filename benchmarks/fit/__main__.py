"""Fitting against its peers: one table for each claim.

    make bench-env
    .venv-bench/bin/python -m benchmarks.fit [--data FOLDER_OF_FOLDERS] [--parts ials ratings ...] [--quick]

ials      implicit feedback: implicit, irspack and FeatureMFRecommender minimise one objective, whose value is computed
          here from the factors; synthetic interactions and two real data sets
threads   one and two threads, wall time: run it on an idle machine
ratings   explicit feedback: Surprise's SVD, cmfrec and FeatureMFRecommender, with the RMSE
ease      the closed form beside the machine's own rate of matrix products, measured in the same run
growth    time and memory from 0.2 to 20 million interactions

FOLDER_OF_FOLDERS (default: SKLLMREC_DATA) holds <name>/interactions.parquet of the real sets; without it those are left
out. Contestants take turns in one run, on one thread except in `threads`. Seconds are of processor time, which a busy
neighbour on the machine distorts least; compilation is reported separately.
"""

from pathlib import Path

from benchmarks.common.measure import parser_of_parts, print_parts, require_packages, versions
from benchmarks.fit import ease, growth, ials, ratings

PARTS = {
    "ials": ials.ials,
    "threads": ials.threads,
    "ratings": ratings.ratings,
    "ease": ease.ease,
    "growth": growth.growth,
}
PEERS = {"ials": ("implicit", "irspack"), "threads": ("implicit",), "ratings": ("cmfrec", "scikit-surprise")}


def main() -> None:
    """Print the tables."""
    parser = parser_of_parts(__doc__, PARTS)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small data, to see that everything runs")
    parser.add_argument("--plot", type=Path, help="growth: also draw it into this file")
    options = parser.parse_args()
    require_packages(*dict.fromkeys(peer for part in options.parts for peer in PEERS.get(part, ())))
    print(f"Versions: {versions('implicit', 'irspack', 'cmfrec', 'scikit-surprise', 'numba')}")
    print(f"Compiling, or loading compiled code: {ials.compile_loops():.1f} s")
    print_parts(PARTS, options)


if __name__ == "__main__":
    main()
