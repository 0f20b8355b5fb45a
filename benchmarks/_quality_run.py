"""Cells of the quality benchmark: a model on a set under a protocol, each in a file of its own, so that runs resume."""

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _quality_models import MODELS
from _quality_space import trials

from skllmrec.metrics import catalog_coverage, gini_index, intra_list_diversity, ndcg_at_k, recall_at_k

K = 20


def write_json(path, content):
    """Write a file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)


def file_name(model):
    """Name of the file of a model."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") + ".json"


@dataclass
class Cells:
    """The cells of a run.

    Parameters
    ----------
    folder : Path
    settings : dict
        What all cells of the folder have to agree in; a cell that does not is computed again.
    """

    folder: Path
    settings: dict

    def path(self, dataset, protocol, model):
        """Return the file of a cell."""
        return self.folder / dataset / protocol / file_name(model)

    def read(self, dataset, protocol, model):
        """Read a cell; an empty one where there is none of these settings."""
        path = self.path(dataset, protocol, model)
        cell = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if cell.get("settings") == self.settings:
            return cell
        names = {"dataset": dataset, "protocol": protocol, "model": model, "kind": MODELS[model].kind}
        return {"settings": self.settings, **names, "trials": [], "fits": [], "default": None}

    def write(self, cell):
        """Write a cell."""
        write_json(self.path(cell["dataset"], cell["protocol"], cell["model"]), cell)


def judge(lists, split):
    """Measure lists: values of the whole, and NDCG of each user."""
    per_user = ndcg_at_k(split.relevant, lists, k=K, average=False)
    n_items = len(split.candidates)
    return {
        "ndcg": float(np.nanmean(per_user)),
        "recall": recall_at_k(split.relevant, lists, k=K),
        "coverage": catalog_coverage(lists, n_items, k=K),
        "ild": intra_list_diversity(lists, split.judging_vectors, k=K),
        "gini": gini_index(lists, n_items, k=K),
        "users": [round(float(value), 5) for value in per_user],
    }


class Contest:
    """Trials and final fits of the models on one set under one protocol.

    Parameters
    ----------
    cells : Cells
    split : Split
    validation : list of Split
        Of the training rows of `split`; a trial is judged by its mean over them.
    n_trials : int
    seeds : sequence of int
        Of the final fits.
    seed : int
        Of the search.
    """

    def __init__(self, cells, split, validation, *, n_trials, seeds, seed):
        self.cells, self.split, self.validation = cells, split, validation
        self.n_trials, self.seeds, self.seed = n_trials, seeds, seed

    def run(self, name):
        """Do what a cell lacks."""
        model, cell = MODELS[name], self.cells.read(self.split.dataset.name, self.split.protocol, name)
        tuned = self._tuned_parts(model)
        if tuned is None:
            return f"{name}: its parts are not tuned yet"
        wanted = trials(name, model.space, self.n_trials, self.seed)
        done = [trial["params"] for trial in cell["trials"]]
        if cell.get("parts") != tuned or done[: len(wanted)] != wanted[: len(done)]:
            # other parameters were found for its parts, or it draws from another space
            cell |= {"parts": tuned, "trials": [], "fits": [], "default": None}
        start = time.process_time()
        for params in wanted[len(cell["trials"]) :]:
            cell["trials"].append(self._trial(model, params, tuned))
            self.cells.write(cell)
        best = max(cell["trials"], key=lambda trial: trial["ndcg"])["params"]
        if cell.get("best") != best:
            cell |= {"best": best, "fits": []}
        for seed in (self.seeds if model.seeded else self.seeds[:1])[len(cell["fits"]) :]:
            cell["fits"].append(self._fit(model, best, tuned, seed))
            self.cells.write(cell)
        if cell["default"] is None:
            default = cell["trials"][0]["params"]
            cell["default"] = cell["fits"][0] if default == best else self._fit(model, default, tuned, self.seeds[0])
            self.cells.write(cell)
        ndcg = np.mean([fit["ndcg"] for fit in cell["fits"]])
        return (
            f"{name}: NDCG@{K} {ndcg:.4f} (default {cell['default']['ndcg']:.4f}), {time.process_time() - start:.0f} s"
        )

    def _tuned_parts(self, model):
        """Parameters found for the parts of a blend, None if they are not all there."""
        dataset, protocol = self.split.dataset.name, self.split.protocol
        cells = [self.cells.read(dataset, protocol, part) for part in model.parts_in(protocol)]
        if any("best" not in cell for cell in cells):
            return None
        return {cell["model"]: cell["best"] for cell in cells}

    def _trial(self, model, params, tuned):
        start = time.process_time()
        lists = [model.recommend(params, split, self.seed, K, tuned) for split in self.validation]
        ndcg = np.mean(
            [ndcg_at_k(split.relevant, given, k=K) for split, given in zip(self.validation, lists, strict=True)]
        )
        return {"params": params, "ndcg": float(ndcg), "seconds": round(time.process_time() - start, 3)}

    def _fit(self, model, params, tuned, seed):
        start = time.process_time()
        lists = model.recommend(params, self.split, seed, K, tuned)
        return {"seed": seed, "seconds": round(time.process_time() - start, 3), **judge(lists, self.split)}
