"""Cells of the quality benchmark: a model on a set under a protocol, each in a file of its own, so that runs resume."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.runs import file_name, write_json
from benchmarks.quality.data import Split
from benchmarks.quality.models import MODELS
from benchmarks.quality.space import trials
from skllmrec._typing import IntArray
from skllmrec.metrics import catalog_coverage, gini_index, intra_list_diversity, ndcg_at_k, recall_at_k

K = 20


@dataclass
class Cells:
    """The cells of a run.

    Parameters
    ----------
    folder : Path
    settings : dict
        Settings that all cells of the folder share; a cell with others is computed again.
    """

    folder: Path
    settings: dict

    def path(self, dataset: str, protocol: str, model: str) -> Path:
        """Return the file of a cell."""
        return self.folder / dataset / protocol / file_name(model)

    def read(self, dataset: str, protocol: str, model: str) -> dict[str, Any]:
        """Read a cell; an empty one where there is none of these settings."""
        path = self.path(dataset, protocol, model)
        cell = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if cell.get("settings") == self.settings:
            return cell
        names = {"dataset": dataset, "protocol": protocol, "model": model, "kind": MODELS[model].kind}
        return {"settings": self.settings, **names, "trials": [], "fits": [], "defaults": []}

    def write(self, cell: dict[str, Any]) -> None:
        """Write a cell."""
        write_json(self.path(cell["dataset"], cell["protocol"], cell["model"]), cell)


def evaluate_lists(lists: IntArray, split: Split) -> dict[str, Any]:
    """Evaluate lists: metrics of all lists, and NDCG of each user."""
    per_user = ndcg_at_k(split.relevant, lists, k=K, average=False)
    n_items = len(split.candidates)
    return {
        "ndcg": float(np.nanmean(per_user)),
        "recall": recall_at_k(split.relevant, lists, k=K),
        "coverage": catalog_coverage(lists, n_items, k=K),
        "ild": intra_list_diversity(lists, split.evaluation_vectors, k=K),
        "gini": gini_index(lists, n_items, k=K),
        "users": {str(user): round(float(value), 5) for user, value in zip(split.users, per_user, strict=True)},
    }


class Contest:
    """Trials and final fits of the models on one set under one protocol.

    Parameters
    ----------
    cells : Cells
    test : list of Split
        Splits on which the best trial is evaluated.
    validation : list of Split
        Splits by whose mean NDCG the best trial is chosen.
    n_trials : int
    seeds : sequence of int
        Seeds of the final fits, which take turns on the splits.
    seed : int
        Seed of the search.
    """

    def __init__(
        self,
        cells: Cells,
        test: Sequence[Split],
        validation: Sequence[Split],
        *,
        n_trials: int,
        seeds: Sequence[int],
        seed: int,
    ) -> None:
        self.cells = cells
        self.test = test
        self.validation = validation
        self.n_trials = n_trials
        self.seeds = seeds
        self.seed = seed
        self.names = test[0].dataset.name, test[0].protocol

    def run(self, name: str) -> str:
        """Run the trials and fits that are missing in a cell; a line that reports the result."""
        model, cell = MODELS[name], self.cells.read(*self.names, name)
        if not model.is_installed:
            return f"{name}: left out, {model.package} is not installed here (`make bench-env` installs it)"
        tuned = self._tuned_parts(model)
        if tuned is None:
            return f"{name}: left out, its parts are not tuned yet"
        wanted = trials(name, model.space, self.n_trials, self.seed)
        done = [trial["params"] for trial in cell["trials"]]
        if cell.get("parts") != tuned or done[: len(wanted)] != wanted[: len(done)]:
            # other parameters were found for its parts, or it draws from another space
            cell |= {"parts": tuned, "trials": [], "fits": [], "defaults": []}
        start = time.process_time()
        for params in wanted[len(cell["trials"]) :]:
            cell["trials"].append(self._trial(model, params, tuned))
            self.cells.write(cell)
        best = max(cell["trials"], key=lambda trial: trial["ndcg"])["params"]
        if cell.get("best") != best:
            cell |= {"best": best, "fits": []}
        self._fit_all(cell, "fits", model, best, tuned, max(len(self.test), len(self.seeds) if model.seeded else 1))
        default = cell["trials"][0]["params"]
        if default == best:
            cell["defaults"] = cell["fits"]
        self._fit_all(cell, "defaults", model, default, tuned, len(self.test))
        self.cells.write(cell)
        ndcg, plain = (np.mean([fit["ndcg"] for fit in cell[fits]]) for fits in ("fits", "defaults"))
        return f"{name}: NDCG@{K} {ndcg:.4f} (default {plain:.4f}), {time.process_time() - start:.0f} s"

    def _tuned_parts(self, model):
        """Parameters found for the parts of a blend, None if they are not all there."""
        cells = [self.cells.read(*self.names, part) for part in model.parts_in(self.names[1])]
        if any("best" not in cell for cell in cells):
            return None
        return {cell["model"]: cell["best"] for cell in cells}

    def _trial(self, model, params, tuned):
        start = time.process_time()
        lists = [model.recommend(params, split, self.seed, K, tuned) for split in self.validation]
        ndcg = np.mean(
            [ndcg_at_k(split.relevant, ranked, k=K) for split, ranked in zip(self.validation, lists, strict=True)]
        )
        return {"params": params, "ndcg": float(ndcg), "seconds": round(time.process_time() - start, 3)}

    def _fit_all(self, cell, name, model, params, tuned, n_fits):
        """Run the missing fits: the splits and seeds in turn."""
        for number in range(len(cell[name]), n_fits):
            fold, seed = number % len(self.test), self.seeds[number % len(self.seeds)]
            start = time.process_time()
            lists = model.recommend(params, self.test[fold], seed, K, tuned)
            seconds = round(time.process_time() - start, 3)
            cell[name].append(
                {"fold": fold, "seed": seed, "seconds": seconds, **evaluate_lists(lists, self.test[fold])}
            )
            self.cells.write(cell)
