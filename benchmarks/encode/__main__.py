"""Text encoding against its peers: one table for each claim.

    make bench-env
    .venv-bench/bin/python -m benchmarks.encode [--data FOLDER_OF_FOLDERS] [--parts speed latency ...]

speed     encode 2,000 texts: sentence-transformers, LLMTextEncoder in float32 and int8, onnxruntime in int8; cosine
          distances; arithmetic done per second beside the core's own rate of matrix products, measured in the same run
latency   one text at a time
quality   NDCG@20 of recommenders on int8 vectors (ours, onnxruntime's) and on float32 ones, known items and new items
search    a grid search of 19 fits: LLMTextEncoder with a store, skrub's and embetter's encoders in the same pipelines
store     100,000 vectors looked up in a warm store
memory    peak memory of encoding 10,000 and 1,000,000 texts

FOLDER_OF_FOLDERS (default: SKLLMREC_DATA) holds <name>/items.parquet and <name>/interactions.parquet of four data sets.
Contestants take turns in one run, on one thread unless OMP_NUM_THREADS is set. Ratios are of seconds of
processor time, which a busy neighbour on the machine distorts least; where threads matter, of wall time too.
"""

import warnings

from benchmarks.common.measure import parser_of_parts, print_parts, require_data
from benchmarks.encode import quality, search, speed, store

PARTS = {
    "speed": speed.throughput,
    "latency": speed.latency,
    "quality": quality.int8_quality,
    "search": search.grid_search,
    "store": store.warm_store,
    "memory": store.memory,
}


def main() -> None:
    """Print the tables."""
    parser = parser_of_parts(__doc__, PARTS)
    parser.add_argument("--texts", type=int, default=2000, help="speed: number of texts (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="speed: runs of each encoder (default: %(default)s)")
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[1024], help="speed: budgets of LLMTextEncoder")
    parser.add_argument("--calls", type=int, default=200, help="latency: number of texts (default: %(default)s)")
    parser.add_argument("--items", type=int, default=400, help="search: items of the catalogue (default: %(default)s)")
    parser.add_argument("--vectors", type=int, default=100_000, help="store: vectors (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs=2, default=[10_000, 1_000_000], help="memory: numbers of texts")
    options = parser.parse_args()
    if set(options.parts) - {"store", "memory"}:
        require_data(parser, options)
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*TextEncoder.*")
    print_parts(PARTS, options)


if __name__ == "__main__":
    main()
