"""All estimators on all folds: in several processes, keeping the results and printing the time to go."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skllmrec._optional import import_optional
from skllmrec._terminal import printable, say
from skllmrec._typing import ArrayLike, Estimator, Frame, IntArray, Rows
from skllmrec.comparison._checkpoint import Checkpoint
from skllmrec.comparison._fold import EvaluationPlan, FoldResult, evaluate_fold
from skllmrec.comparison._progress import TimeToGo, seconds


def _evaluate(checkpoint, name, estimator, X, y, fold, *arguments):
    """Evaluate one estimator on one fold; what is returned is what was written, where something is written."""
    result = evaluate_fold(name, estimator, X, y, fold, *arguments)
    if checkpoint is None:
        return result
    checkpoint.save(result)
    return checkpoint.load(name, fold) or result


def _call(caller, *arguments):
    """Return the result of `_evaluate`, and the warnings of another process than the caller, which it shows itself."""
    if os.getpid() == caller:
        return _evaluate(*arguments), []
    with warnings.catch_warnings(record=True) as caught:
        result = _evaluate(*arguments)
    return result, [(str(warning.message), warning.category) for warning in caught]


def _read(checkpoint, verbose):
    """Results that an earlier run left behind."""
    if checkpoint is None or not checkpoint.resume:
        return {}
    found = {(name, fold): checkpoint.load(name, fold) for name, fold in checkpoint.keys}
    found = {key: result for key, result in found.items() if result is not None}
    for note in checkpoint.notes(found):
        if verbose:
            say(note)
        elif not found:  # something is there, but nothing that fits
            warnings.warn(note, UserWarning, stacklevel=5)
    return found


def _reached(result):
    """Describe one result in a few words."""
    accuracy = next(iter(result.per_user.items()), None)
    reached = "" if accuracy is None else f", {accuracy[0]} {np.nanmean(accuracy[1]):.4f}"
    return f"{result.estimator}{reached}: {seconds(result.seconds)}"


def evaluate_all(
    estimators: dict[str, Estimator],
    X: Rows,
    y: ArrayLike | None,
    folds: list[tuple[IntArray, IntArray]],
    plan: EvaluationPlan,
    seeds: Sequence[int],
    checkpoint: Checkpoint | None,
    *,
    n_jobs: int | None,
    verbose: bool,
) -> list[FoldResult]:
    """Evaluate every estimator on every fold that is not done yet, and print the progress.

    Parameters
    ----------
    estimators : dict of str to estimator
    X, y : rows and ratings or weights
    folds : list of (train, test)
    plan : EvaluationPlan
    seeds : sequence of int
        One for each fold.
    checkpoint : Checkpoint or None
    n_jobs : int or None
    verbose : bool

    Returns
    -------
    results : list of FoldResult
        Fold by fold, in each the estimators in the order given.
    """
    done = _read(checkpoint, verbose)
    order = [(fold, name) for fold in range(len(folds)) for name in estimators]
    left = [(fold, name) for fold, name in order if (name, fold) not in done]
    time_to_go = TimeToGo([name for _, name in left], effective_n_jobs(n_jobs))
    for result in done.values():
        time_to_go.note(result.estimator, result.seconds)
    calls = [
        delayed(_call)(os.getpid(), checkpoint, name, estimators[name], X, y, fold, *folds[fold], plan, seeds[fold])
        for fold, name in left
    ]
    with warnings.catch_warnings():
        # joblib replaces a worker that has grown, and says so; nothing is lost
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        for result, caught in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls):
            for text, category in caught:
                warnings.warn(printable(text), category, stacklevel=3)
            done[result.estimator, result.fold] = result
            time_to_go.add(result.estimator, result.seconds)
            if verbose:
                where = f"[{len(done)}/{len(order)}] fold {result.fold + 1} of {len(folds)}"
                say(f"{where}, {_reached(result)}{time_to_go}")
    return [done[name, fold] for fold, name in order]


def make_frames(results: list[FoldResult]) -> tuple[Frame, Frame, Frame, Frame]:
    """Make frames of results.

    Parameters
    ----------
    results : list of FoldResult

    Returns
    -------
    per_user, per_fold, chosen, by_popularity : pandas.DataFrame
        As in `Comparison`.
    """
    pd = import_optional("pandas", extra="demo", purpose="compare_recommenders")

    def stack(frames: list[tuple[FoldResult, dict[str, Any]]]) -> Frame:
        frames = [pd.DataFrame({"estimator": r.estimator, "fold": r.fold, **columns}) for r, columns in frames]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["estimator", "fold"])

    per_user = stack([(r, {"user": r.users, **r.per_user}) for r in results])
    per_fold = pd.DataFrame([{"estimator": r.estimator, "fold": r.fold, **r.per_fold} for r in results])
    chosen = pd.DataFrame(
        [
            {"estimator": r.estimator, "fold": r.fold, "params": r.params, "score": r.score}
            for r in results
            if r.params is not None
        ],
        columns=["estimator", "fold", "params", "score"],
    )
    by_popularity = stack(
        [(r, {"bin": range(len(r.by_popularity["mean"])), **r.by_popularity}) for r in results if r.by_popularity]
    )
    return per_user, per_fold, chosen, by_popularity
