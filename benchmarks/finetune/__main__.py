"""Training of language models: gain, speed and memory of fine-tuning; pre-training; profiles.

    make bench-env
    .venv-bench/bin/python -m benchmarks.finetune [--data FOLDER_OF_FOLDERS] [--parts cold speed memory]

cold      NDCG@20 of new items: TF-IDF, MiniLM frozen and tuned, and each beside TF-IDF, in the same recommenders; one
          split and one seed, chosen beforehand; bootstrap over users
speed     steps per second of the same contrastive task: LLMFineTuner's training and sentence-transformers' trainer
memory    peak memory of the objective "interactions" with 1,000 and with 20,000 items
pretrain  a BERT from scratch: both objectives on synthetic documents and on a catalogue, and NDCG@20 of its new items
profiles  profiles of items by SmolLM2-135M: cost, and NDCG@5 of new items by text, by profile, and by both

FOLDER_OF_FOLDERS (default: SKLLMREC_DATA) holds <name>/items.parquet and <name>/interactions.parquet of the data sets.
Everything runs on one thread unless OMP_NUM_THREADS is set.
"""

from pathlib import Path

from benchmarks.common.measure import parser_of_parts, print_parts, require_data
from benchmarks.finetune import cold, data, memory, pretraining, profiles, recommenders, speed

PARTS = {
    "cold": cold.cold_items,
    "speed": speed.steps_per_second,
    "memory": memory.peak_memory,
    "pretrain": pretraining.pretraining,
    "profiles": profiles.profiles,
}


def main() -> None:
    """Print the tables."""
    parser = parser_of_parts(__doc__, PARTS)
    parser.add_argument("--seed", type=int, default=0, help="cold: of split and training (default: %(default)s)")
    parser.add_argument("--sets", nargs="+", default=list(data.SETS), choices=list(data.SETS))
    parser.add_argument("--recommenders", nargs="+", default=["factors"], choices=list(recommenders.RECOMMENDERS))
    parser.add_argument(
        "--work", type=Path, help="folder of trainings, vectors and texts, from which a stopped run is resumed"
    )
    parser.add_argument("--steps", type=int, default=10, help="speed: steps of each trainer (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="speed: runs of each trainer (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 20_000], help="memory: numbers of items")
    parser.add_argument("--epochs", type=int, default=9, help="pretrain: of the catalogue (default: %(default)s)")
    parser.add_argument("--items", type=int, default=120, help="profiles: most liked items (default: %(default)s)")
    options = parser.parse_args()
    if set(options.parts) - {"memory"}:
        require_data(parser, options)
    print_parts(PARTS, options)


if __name__ == "__main__":
    main()
