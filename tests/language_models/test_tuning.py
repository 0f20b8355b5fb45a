"""What surrounds the training of a fine-tuner: which rows are held out, and which weights win."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from tuning_data import make_catalogue

from skllmrec import LLMFineTuner
from skllmrec._training import Recipe
from skllmrec.language_models.fine_tuning._evaluators import Evidence
from skllmrec.language_models.fine_tuning._targets import Targets
from skllmrec.language_models.fine_tuning._tuning import _Selection, make_recipe, split_rows


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_without_targets_are_neither_learned_from_nor_judged(seed):
    rng = np.random.default_rng(seed)
    liked = csr_matrix(rng.random((50, 6)) < 0.15)
    informative = np.flatnonzero(liked.toarray().any(axis=1))
    texts = [f"film {row}" for row in range(50)]
    fitted, held_out = split_rows({"factors": Targets("interactions", liked)}, texts, 0.2, rng)
    assert_array_equal(np.sort(np.concatenate([fitted, held_out])), informative)
    assert len(held_out) == round(0.2 * len(informative)) and len(informative) < 50
    everything, nothing = split_rows({"factors": Targets("interactions", liked)}, texts, None, rng)
    assert_array_equal(everything, informative)
    assert len(nothing) == 0


def test_texts_that_occur_twice_are_not_judged_by_what_was_learned():
    """Half of the texts are editions of another one; a text that many rows share, such as none, stays in training."""
    texts = np.array([f"film {row // 2}" for row in range(40)] + [""] * 20)
    targets = {"classification": Targets("labels", np.arange(60) % 2)}
    fitted, held_out = split_rows(targets, texts, 0.2, np.random.default_rng(0))
    assert len(held_out) == 12 and not set(texts[fitted]) & set(texts[held_out])
    fitted, held_out = split_rows(targets, ["the same"] * 60, 0.2, np.random.default_rng(0))
    assert (len(fitted), len(held_out)) == (48, 12)


def test_recipe_follows_the_parameters():
    tuner = LLMFineTuner(max_iter=3, learning_rate_init=0.1, weight_decay=0.2, warmup=0.3, n_iter_no_change=4)
    expected = Recipe(
        max_iter=3,
        learning_rate_init=0.1,
        weight_decay=0.2,
        warmup=0.3,
        n_iter_no_change=4,
        seed=5,
        clip_norm=1.0,
        rate_factors={"heads": 5.0},  # as the documentation says
    )
    assert make_recipe(tuner, 5) == expected


def contest_of(qualities):
    """A contest of trainings that give these values of the held-out rows, after those of before training."""
    vectors = iter(qualities[1:])
    tuning = SimpleNamespace(vectors=qualities[0], all_vectors=lambda: next(vectors), copy_weights=dict)
    contest = _Selection(SimpleNamespace(evidence=Evidence), tuning)
    for number in range(1, len(qualities)):
        contest.enter(f"objective {number}", SimpleNamespace(best_epoch=1))
    return contest


def test_a_gain_within_chance_wins_nothing():
    before, noise = np.linspace(0, 1, 100), np.tile([0.5, -0.5], 50)
    contest = contest_of([before, before + noise + 0.09])  # the standard error is 0.05
    assert contest.winner == "objective 1" and not contest.is_won
    assert contest_of([before, before + noise + 0.11]).is_won


def test_the_best_objective_wins():
    before, noise = np.linspace(0, 1, 100), np.tile([0.1, -0.1], 50)
    contest = contest_of([before, before + noise + 0.1, before + noise + 0.2, before + noise + 0.15])
    assert contest.winner == "objective 2" and contest.is_won
    contest = contest_of([before, before - 0.1])
    assert contest.winner is None and not contest.is_won


def test_each_objective_starts_from_the_untuned_model(tiny_bert):
    texts, liked, _ = make_catalogue(60)
    params = {"learning_rate_init": 3e-3, "max_iter": 2, "random_state": 0, "device": "cpu", "dtype": "float32"}
    both, alone = (
        LLMFineTuner(tiny_bert, objective=objective, **params).fit(texts, liked) for objective in ("auto", "factors")
    )
    records = [
        [(record["epoch"], record["score"], record.get("loss", 0.0)) for record in tuner.history_]
        for tuner in (both, alone)
    ]
    assert len(records[0]) == 6
    assert_allclose(records[0][3:], records[1], rtol=1e-6)
