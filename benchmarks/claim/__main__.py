"""Test of the claim of the method: where an LLM's coding of the items beats traditional coding.

    python -m benchmarks.claim [--data FOLDER_OF_FOLDERS] [--out FOLDER] [--sets ...] [--protocols warm temporal cold]
        [--codings ...] [--trials 6] [--seeds 3] [--tuned-seeds 1] [--max-items 4000] [--max-users 2000] [--seed 0]

The claim, of reports on the method: over traditional coding of features, precision +15 %, recall +10 %, diversity up
from 50 % to 70 %. Here the same recommender (FeatureMFRecommender) reads the items in each coding, tuned with the same
number of trials from the same space on a split of the training rows, on sets, splits and protocols of
`python -m benchmarks.quality`, each seed with a split of its own:

traditional        which words a text has (one-hot), or TF-IDF;
LLM                frozen MiniLM vectors, centred; beside TF-IDF; and the model tuned on the training rows beside
                   TF-IDF (new items only: minutes per split, `--tuned-seeds` of the seeds).

precision@10, recall@20, NDCG@20, ILD@20 (one minus the mean cosine of the genres, tags, authors or categories of
two items of a list) and coverage@20. Gains are over the traditional coding that was better on the validation
splits. A user who is evaluated under several seeds is averaged first; paired permutation tests over users, corrected
(Holm) for all tests of the page. All cells are printed, favourable or not.

Each cell is a file in `--out`/claim; a stopped run is resumed. With the `--out` of
`python -m benchmarks.quality`, its vectors and tuned models are reused. Set OMP_NUM_THREADS=1.
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.claim.cells import CODINGS, METRICS, TRADITIONAL, run
from benchmarks.common.measure import add_data_option, make_parser, markdown, require_data
from benchmarks.common.runs import write_json
from benchmarks.quality.data import PROTOCOLS, SETS
from skllmrec.comparison._statistics import holm_correction, paired_effect_size, permutation_p_values

# (set, protocol) -> coding -> cells, one per seed
Found: TypeAlias = dict[tuple[str, str], dict[str, list[dict[str, Any]]]]
# metric -> the claimed gain over traditional coding; for diversity, 70 % instead of 50 %
CLAIMED = {"precision@10": 0.15, "recall@20": 0.10, "ild@20": 0.40}
_SURE = 0.05


def read_cells(folder: Path) -> Found:
    """Return {(set, protocol): {coding: list of cells, one per seed}} of the files of a folder."""
    found: Found = {}
    for path in sorted(folder.glob("*/*/*.json")):
        cell = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault((path.parts[-3], path.parts[-2]), {}).setdefault(cell["coding"], []).append(cell)
    return found


def by_user(cells: list[dict[str, Any]], metric: str) -> dict[str, float]:
    """Value of each user, averaged over the seeds: a dict."""
    values: dict[str, list[float]] = {}
    for cell in cells:
        for user, value in zip(cell["users"], cell["per_user"][metric], strict=True):
            if not np.isnan(value):
                values.setdefault(user, []).append(value)
    return {user: float(np.mean(several)) for user, several in values.items()}


def compare(codings: dict[str, list[dict[str, Any]]]) -> tuple[list[dict[str, Any]], str]:
    """Contrast each coding by LLM with the better traditional one of the same seeds: a list of dict, and its name."""
    traditional = [name for name in TRADITIONAL if name in codings]
    reference = max(traditional, key=lambda name: np.mean([cell["validation"] for cell in codings[name]]))
    rows = []
    for coding in (name for name in CODINGS if "LLM" in name and name in codings):
        base = codings[reference][: len(codings[coding])]  # where a model is tuned there are fewer seeds
        for metric in METRICS:
            ours, theirs = by_user(codings[coding], metric), by_user(base, metric)
            users = sorted(ours.keys() & theirs.keys())
            differences = np.array([ours[user] - theirs[user] for user in users])
            mean, before = (np.mean([values[user] for user in users]) for values in (ours, theirs))
            rows.append(
                {
                    "coding": coding,
                    "metric": metric,
                    "mean": float(mean),
                    "reference": float(before),
                    "gain": float(mean / before - 1),
                    "n_users": len(users),
                    "effect": float(paired_effect_size(differences)[0]),
                    "p": float(permutation_p_values(differences, random_state=0)[0]),
                }
            )
    return rows, reference


def as_rows(head: Sequence[str], table: list[list[str]]) -> list[dict[str, str]]:
    """Name the cells of a table."""
    return [dict(zip(head, line, strict=True)) for line in table]


def claim_status(row: dict[str, Any]) -> str:
    """Whether the claimed gain is reached: it holds, does not hold, or may be chance."""
    if row["metric"] not in CLAIMED:
        return ""
    if row["gain"] >= CLAIMED[row["metric"]]:
        return "holds" if row["holm"] < _SURE else "may be chance"
    return "does not hold"


def print_tables(found: Found, out: Path) -> None:
    """Print all cells, the contrasts, and where the claim holds."""
    contrasts = []
    for (dataset, protocol), codings in found.items():
        if not any(name in codings for name in TRADITIONAL):
            continue
        rows, reference = compare(codings)
        contrasts += [{"dataset": dataset, "protocol": protocol, "over": reference, **row} for row in rows]
        n_seeds = {name: len(cells) for name, cells in codings.items()}
        print(f"\n### {dataset}, {protocol} ({max(n_seeds.values())} seeds)\n")
        table = [
            [
                name if n_seeds[name] == max(n_seeds.values()) else f"{name} ({n_seeds[name]} seed)",
                *(f"{np.mean(list(by_user(codings[name], metric).values())):.4f}" for metric in METRICS),
                f"{np.mean([cell['coverage@20'] for cell in codings[name]]):.3f}",
            ]
            for name in CODINGS
            if name in codings
        ]
        print(markdown(as_rows(["coding", *METRICS, "coverage@20"], table)))
    for row, adjusted in zip(contrasts, holm_correction([row["p"] for row in contrasts]), strict=True):
        row["holm"] = float(adjusted)
    print("\n### Gains over the better traditional coding, and the claim\n")
    table = [
        [
            row["dataset"],
            row["protocol"],
            row["coding"],
            row["metric"],
            f"{row['reference']:.4f}",
            f"{row['mean']:.4f}",
            f"{row['gain']:+.1%}",
            f"{row['effect']:+.2f}",
            f"{row['holm']:.3f}",
            claim_status(row),
        ]
        for row in contrasts
    ]
    head = ["set", "protocol", "coding", "metric", "traditional", "LLM", "gain", "effect size", "p (Holm)", "claim"]
    print(markdown(as_rows(head, table)))
    print_summary(contrasts)
    print_overview(contrasts)
    write_json(out / "claim" / "claim.json", {"contrasts": contrasts})


def print_summary(contrasts: list[dict[str, Any]]) -> None:
    """Count where the claim holds."""
    print("\n### Where it holds\n")
    table = []
    for coding in dict.fromkeys(row["coding"] for row in contrasts):
        for metric in CLAIMED:
            rows = [row for row in contrasts if (row["coding"], row["metric"]) == (coding, metric)]
            better = sum(row["gain"] > 0 and row["holm"] < _SURE for row in rows)
            worse = sum(row["gain"] < 0 and row["holm"] < _SURE for row in rows)
            held = [f"{row['dataset']} {row['protocol']}" for row in rows if claim_status(row) == "holds"]
            table.append(
                [
                    coding,
                    metric,
                    f"{len(held)} of {len(rows)}",
                    ", ".join(held) or "nowhere",
                    str(better),
                    str(worse),
                    f"{np.mean([row['gain'] for row in rows]):+.1%}",
                ]
            )
    head = ["coding", "metric", "claim holds in", "namely", "significantly better", "significantly worse", "mean gain"]
    print(markdown(as_rows(head, table)))


def print_overview(contrasts: list[dict[str, Any]]) -> None:
    """Print the gains in all claimed metrics, a row for each set and protocol."""
    print("\n### All gains at a glance\n")
    codings = list(dict.fromkeys(row["coding"] for row in contrasts))
    gains: dict[str, dict[str, list[str]]] = {}
    for row in contrasts:
        if row["metric"] in CLAIMED:
            sure = "*" if row["holm"] < _SURE else ""
            cell = gains.setdefault(f"{row['dataset']}, {row['protocol']}", {}).setdefault(row["coding"], [])
            cell.append(f"{row['gain']:+.1%}{sure}")
    head = [f"{', '.join(CLAIMED)} of", *codings]
    table = [[name, *(", ".join(own.get(coding, [])) for coding in codings)] for name, own in gains.items()]
    print(markdown(as_rows(head, table)))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--out", type=Path, default=Path(".quality"), help="folder of cells and store")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--protocols", nargs="*", default=list(PROTOCOLS), choices=PROTOCOLS)
    parser.add_argument("--codings", nargs="*", default=list(CODINGS), choices=list(CODINGS), metavar="CODING")
    for name, default in (("trials", 6), ("seeds", 3), ("max-items", 4000), ("max-users", 2000), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--tuned-seeds", type=int, default=1, help="of the seeds, with how many models are tuned")
    parser.add_argument("--report", action="store_true", help="only print the tables of the finished cells")
    options = parser.parse_args()
    if not options.report:
        require_data(parser, options)
    return options


def main() -> None:
    """Run the missing cells, print the tables of all."""
    options = parse()
    warnings.filterwarnings("ignore", "Bins whose width are too small")
    if not options.report:
        for seed in range(options.seed, options.seed + options.seeds):
            for protocol in options.protocols:
                for dataset in options.sets:
                    run(options, dataset, protocol, seed)
    print_tables(read_cells(options.out / "claim"), options.out)


if __name__ == "__main__":
    main()
