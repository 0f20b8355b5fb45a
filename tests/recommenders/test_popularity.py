"""PopularityRecommender against counts and damped means by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec.recommenders import PopularityRecommender

X = [["ann", "alien"], ["bob", "alien"], ["bob", "heat"], ["cem", "alien"], ["cem", "up"], ["ann", "up"]]
Y = [4.0, 5.0, 1.0, 3.0, 5.0, 2.0]  # mean 10/3: alien 12 in 3, heat 1 in 1, up 7 in 2


def test_counts():
    recommender = PopularityRecommender(feedback="implicit").fit(X)
    assert_array_equal(recommender.items_, ["alien", "heat", "up"])
    assert_array_equal(recommender.item_scores_, [3, 1, 2])
    ids, scores = recommender.recommend(["dan", "bob"], n_items=2)
    assert_array_equal(ids, np.array([["alien", "up"], ["up", None]], dtype=object))
    assert_array_equal(scores, [[3, 2], [2, -np.inf]])


def test_weights_are_summed():
    recommender = PopularityRecommender(feedback="implicit")
    recommender.fit(X, [1, 0, 2, 1, 1, 1], sample_weight=[1, 1, 3, 0, 1, 0.5])
    assert_allclose(recommender.item_scores_, [1, 6, 1.5])


@pytest.mark.parametrize("damping", [0.0, 2.0])
def test_damped_means(damping):
    recommender = PopularityRecommender(damping=damping).fit(X, Y)
    mean = 20 / 6
    expected = [(12 + damping * mean) / (3 + damping), (1 + damping * mean) / (1 + damping)]
    assert_allclose(recommender.predict([["ann", "alien"], ["ann", "heat"]]), expected)
    assert_allclose(recommender.predict([["ann", "jaws"]]), [mean], err_msg="an unknown item has the mean")


def test_partial_fit_equals_fit_on_all():
    recommender = PopularityRecommender().fit(X[:3], Y[:3]).partial_fit(X[3:], Y[3:])
    assert_allclose(
        recommender.predict([["ann", item] for item in ("alien", "heat", "up")]),
        PopularityRecommender().fit(X, Y).item_scores_,
    )
    assert_array_equal(recommender.recommend(["cem"], n_items=2)[0], [["heat", None]])


def test_similar_items_are_the_popular_ones():
    ids, _ = PopularityRecommender(feedback="implicit").fit(X).similar_items(["alien"], n_items=2)
    assert_array_equal(ids, [["up", "heat"]])
