"""NeighborsRecommender against loops over neighbours."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from skllmrec import NeighborsRecommender
from skllmrec._kernels.item_item import neighbor_selection
from skllmrec._kernels.item_item.neighbor_selection import SHRINKAGES
from skllmrec._kernels.item_item.neighbors import weigh
from skllmrec._kernels.selection.held_out import hold_out_entries, hold_out_seeds, is_better
from skllmrec._kernels.selection.peak import search_peak
from skllmrec.base import FeatureTable
from skllmrec.metrics import ndcg_at_k

TEXTS = {"content": {"item_features": 2, "item_encoder": CountVectorizer()}}
WORDS = ("red apple", "red cherry", "blue river", "blue ocean", "red river", "apple ocean cherry", "green", "blue")


def data(seed, *, n=60):
    generator = np.random.default_rng(seed)
    pairs = np.unique(generator.integers(0, [12, 8], size=(n, 2)), axis=0)
    X = np.array([[user, item, WORDS[item]] for user, item in pairs.tolist()], dtype=object)
    return X, generator.integers(1, 6, len(X)).astype(float)


def cosine_table(Z):
    Z = Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-300)
    return Z @ Z.T


def neighbourhoods(S, k):
    S, kept = S.copy(), np.zeros_like(S)
    np.fill_diagonal(S, -1)
    for i, row in enumerate(S):
        best = [j for j in np.argsort(-row, kind="stable") if row[j] > 0][:k]
        kept[i, best] = row[best]
    return kept


def similarity(model, by, columns):
    """Similarities by the formula, dense."""
    X, h = columns, model.shrinkage_ * np.mean(columns[columns != 0] ** 2)
    lengths = np.linalg.norm(X, axis=0)
    shared = X.T @ X / (np.outer(lengths, lengths) + h)
    content = cosine_table(CountVectorizer().fit_transform(WORDS[item] for item in model.items_).toarray())
    if by == "interactions":
        return shared
    return content if by == "content" else shared + model.content_weight_ * content


@pytest.mark.parametrize("by", ["content", "interactions", "both"])
@pytest.mark.parametrize("seed", [0, 1])
def test_implicit_scores_against_the_formula(by, seed):
    X, y = data(seed)
    model = NeighborsRecommender(3, by=by, feedback="implicit", content_weight=0.3, shrinkage=2.0, **TEXTS["content"])
    model.fit(X, y % 3 + 1)  # weights that do not look like ratings
    H = model.seen_.toarray()
    S = neighbourhoods(similarity(model, by, weigh(model.seen_, "tfidf").toarray()), 3)
    expected = H @ S.T + 1e-6 * H.sum(axis=0) / H.sum()
    rows = [[user, item, ""] for user in model.users_ for item in model.items_]
    assert_allclose(model.predict(np.array(rows, dtype=object)), expected.ravel(), rtol=1e-9)


@pytest.mark.parametrize("by", ["interactions", "both"])
def test_explicit_ratings_against_the_formula(by):
    X, y = data(2)
    model = NeighborsRecommender(4, by=by, shrinkage=3.0, damping=2.0, feedback="explicit", **TEXTS["content"]).fit(
        X, y
    )
    users, items = (list(ids) for ids in (model.users_, model.items_))
    R, seen = np.zeros((len(users), len(items))), np.zeros((len(users), len(items)))
    for (user, item, _), rating in zip(X, y, strict=True):
        R[users.index(user), items.index(item)], seen[users.index(user), items.index(item)] = rating, 1
    mean = y.mean()
    b_i = np.array(
        [sum(R[u, i] - mean for u in np.flatnonzero(seen[:, i])) / (seen[:, i].sum() + 2) for i in range(len(items))]
    )
    b_u = np.array(
        [sum(R[u, i] - mean - b_i[i] for i in np.flatnonzero(seen[u])) / (seen[u].sum() + 2) for u in range(len(users))]
    )
    rest = seen * (R - mean - b_u[:, None] - b_i)
    S = neighbourhoods(similarity(model, by, rest), 4)
    expected = mean + b_u[:, None] + b_i + rest @ S.T / (1 + seen @ S.T)
    rows = np.array([[user, item, ""] for user in users for item in items], dtype=object)
    assert_allclose(model.predict(rows), expected.ravel())


def test_new_items_are_scored_by_their_content():
    X, _ = data(0)
    model = NeighborsRecommender(2, feedback="implicit", content_weight=0.5, **TEXTS["content"]).fit(X)
    words = dict(zip(model.items_, (WORDS[item] for item in model.items_), strict=True))
    vectorizer = CountVectorizer().fit(words.values())
    known = vectorizer.transform(words.values()).toarray()
    new = vectorizer.transform(["apple cherry"]).toarray()
    cosines = (known / np.linalg.norm(known, axis=1, keepdims=True)) @ new[0] / np.linalg.norm(new)
    best = np.argsort(-cosines, kind="stable")[:2]
    expected = 0.5 * model.seen_.toarray()[:, best] @ cosines[best]
    rows = np.array([[user, 99, "apple cherry"] for user in model.users_], dtype=object)
    assert_allclose(model.predict(rows), expected)


def test_items_of_a_table_equal_new_items():
    X, _ = data(0)
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"item": [*range(8), 99], "text": [*WORDS, "apple cherry"]})
    columns = {"user": "user", "item": "item", "item_features": "text", "item_encoder": CountVectorizer()}
    model = NeighborsRecommender(2, feedback="implicit", **columns)
    rows = pd.DataFrame({"user": X[:, 0], "item": X[:, 1]})
    model.fit(rows, item_table=FeatureTable(frame, key="item"))
    other = NeighborsRecommender(2, feedback="implicit", **columns)
    other.fit(rows.assign(text=[WORDS[item] for item in rows["item"]]))
    new = pd.DataFrame({"user": [3, 4], "item": [99, 99], "text": ["apple cherry"] * 2})
    assert model.items_[-1] == 99
    assert_allclose(model.predict(new[["user", "item"]]), other.predict(new))


def tastes(seed, *, n_groups=4):
    """Users who like items of one group; the text of an item names its group, or nothing of use."""
    generator = np.random.default_rng(seed)
    users = np.repeat(np.arange(120), 9)
    items = generator.integers(0, 12, len(users)) * n_groups + users % n_groups
    pairs = np.unique(np.column_stack([users, items]), axis=0)
    return pairs, {"good": [f"g{item % n_groups}" for item in range(48)], "bad": [f"b{i // 4}" for i in range(48)]}


def held_out_quality(parameters, X, ratings, pairs):
    """NDCG@20 of users, or minus squared errors, of all hold-outs, by fits on the rest."""
    found = []
    weights = csr_matrix((np.ones(len(pairs)), pairs.T))
    for seed in hold_out_seeds(len(pairs)):
        train, test = hold_out_entries(weights, seed=seed)  # rows are sorted as the stored entries are
        fixed = NeighborsRecommender(**parameters)
        fixed.fit(X.iloc[train], None if ratings is None else ratings[train])
        if ratings is not None:
            found.append(-np.square(fixed.predict(X.iloc[test]) - ratings[test]))
            continue
        users = np.unique(pairs[test, 0])
        relevant = csr_matrix((np.ones(len(test)), pairs[test].T), shape=(120, 48))[users]
        lists = np.searchsorted(fixed.items_, fixed.recommend(users, 20)[0])
        found.append(ndcg_at_k(relevant[:, fixed.items_], lists, k=20, average=False))
    return np.concatenate(found)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_the_weight_of_the_content_is_the_best_on_held_out_interactions(seed, feedback):
    pd = pytest.importorskip("pandas")
    pairs, words = tastes(seed)
    ratings = None if feedback == "implicit" else 3.0 + (pairs[:, 1] % 4 == 1) - (pairs[:, 1] % 4 == 2)
    chosen = {}
    for kind, texts in words.items():
        X = pd.DataFrame({"user": pairs[:, 0], "item": pairs[:, 1], "text": [texts[item] for item in pairs[:, 1]]})
        columns = {"user": "user", "item": "item", "item_features": "text", "item_encoder": CountVectorizer()}
        parameters = {"feedback": feedback, "n_neighbors": 5, "shrinkage": 20.0, **columns}
        quality = {
            weight: held_out_quality({**parameters, "content_weight": weight}, X, ratings, pairs)
            for weight in (0.03, 0.1, 0.3, 1.0, 3.0)
        }
        best = max(quality, key=lambda weight: quality[weight].mean())
        gain = quality[best] - quality[0.3]
        expected = best if gain.mean() > 0.5 * gain.std() / np.sqrt(len(gain)) else 0.3
        chosen[kind] = NeighborsRecommender(**parameters).fit(X, ratings).content_weight_
        assert chosen[kind] == expected
    assert chosen["bad"] <= chosen["good"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_the_shrinkage_is_near_the_best_on_held_out_interactions(seed, feedback):
    pd = pytest.importorskip("pandas")
    pairs, _ = tastes(seed)
    ratings = None if feedback == "implicit" else 3.0 + (pairs[:, 1] % 4 == 1) - (pairs[:, 1] % 4 == 2)
    X = pd.DataFrame({"user": pairs[:, 0], "item": pairs[:, 1]})
    parameters = {"feedback": feedback, "n_neighbors": 5, "user": "user", "item": "item"}

    def quality(shrinkage):
        return held_out_quality({**parameters, "shrinkage": shrinkage}, X, ratings, pairs)

    reached = search_peak(lambda one: quality(one).mean(), SHRINKAGES, SHRINKAGES.index(20.0))
    expected = reached.value if is_better(quality(reached.near), quality(20.0), 2.0) else 20.0
    model = NeighborsRecommender(**parameters).fit(X, ratings)
    assert_allclose(model.shrinkage_, expected, rtol=1e-6)
    given = NeighborsRecommender(**parameters, shrinkage=model.shrinkage_).fit(X, ratings)
    assert_array_equal(given.similarity_.toarray(), model.similarity_.toarray())


def popular_taste(seed, *, n_users=400, n_items=400):
    """Users who take items by popularity alone: what two items share says nothing beyond their counts."""
    generator = np.random.default_rng(seed)
    chances = np.arange(1, n_items + 1) ** -0.7
    return np.array(
        [(u, i) for u in range(n_users) for i in generator.choice(n_items, 8, replace=False, p=chances / chances.sum())]
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_only_popularity_counts_the_shrinkage_is_large_and_the_lists_are_better(seed):
    pairs = popular_taste(seed)
    pairs = pairs[np.lexsort(pairs.T[::-1])]  # as the stored entries are
    train, test = hold_out_entries(csr_matrix((np.ones(len(pairs)), pairs.T)), seed, 0.2)
    users = np.unique(pairs[test, 0])
    relevant = csr_matrix((np.ones(len(test)), pairs[test].T), shape=(400, 400))[users]
    models = [NeighborsRecommender(shrinkage=shrinkage).fit(pairs[train]) for shrinkage in ("auto", 20.0)]
    assert models[0].shrinkage_ > 80
    gains = [
        ndcg_at_k(relevant[:, model.items_], np.searchsorted(model.items_, model.recommend(users, 20)[0]), k=20)
        for model in models
    ]
    assert gains[0] > 1.05 * gains[1]
    again = NeighborsRecommender().fit(pairs[train][::-1])
    assert_allclose(again.shrinkage_, models[0].shrinkage_)


def test_a_weight_that_is_no_better_beyond_chance_is_not_taken(monkeypatch):
    pairs, words = tastes(0)
    X = np.array([[user, item, words["good"][item]] for user, item in pairs.tolist()], dtype=object)
    parameters = {"feedback": "implicit", "n_neighbors": 5, "shrinkage": 20.0, **TEXTS["content"]}
    assert NeighborsRecommender(**parameters).fit(X).content_weight_ != 0.3
    monkeypatch.setattr(neighbor_selection, "is_better", lambda quality, reference: False)
    assert NeighborsRecommender(**parameters).fit(X).content_weight_ == 0.3


def test_a_given_weight_is_taken_and_few_interactions_choose_none():
    X, y = data(0)
    assert (
        NeighborsRecommender(content_weight=0.7, feedback="explicit", **TEXTS["content"]).fit(X, y).content_weight_
        == 0.7
    )
    usual = NeighborsRecommender(feedback="explicit", **TEXTS["content"]).fit(X, y)
    assert (usual.shrinkage_, usual.content_weight_) == (20.0, 0.3)
    assert NeighborsRecommender(shrinkage=2, feedback="explicit").fit(X[:, :2].astype(int), y).shrinkage_ == 2.0
    assert NeighborsRecommender(by="content", feedback="explicit", **TEXTS["content"]).fit(X, y).content_weight_ == 1.0


def test_a_user_without_a_history_gets_what_is_popular():
    X, _ = data(0)
    model = NeighborsRecommender(feedback="implicit").fit(X[:, :2].astype(int))
    counts = np.bincount(X[:, 1].astype(int))
    ids, _ = model.recommend([77], n_items=3)
    assert_array_equal(ids[0], np.argsort(-counts, kind="stable")[:3])


def test_history_equals_training_on_it():
    X, _ = data(1)
    X = X[:, :2].astype(int)
    model = NeighborsRecommender(4, feedback="implicit").fit(X)
    user = X[0, 0]
    known = model.recommend([user], n_items=3)
    stranger = model.recommend(history=[X[X[:, 0] == user, 1]], n_items=3)
    assert_array_equal(known[0], stranger[0])
    assert_allclose(known[1], stranger[1])


def test_partial_fit_gives_new_items_neighbours_by_their_interactions():
    X = np.array([[u, i] for u in range(8) for i in range(6) if (u + i) % 2 == 0])
    model = NeighborsRecommender(feedback="implicit", shrinkage=0.0).fit(X)
    model.partial_fit([[u, 50] for u in (0, 2)])  # users who like even items
    _, scores = model.recommend([4, 5], n_items=1, exclude_seen=False, candidates=[50])
    assert scores[0, 0] > 1e-3 > scores[1, 0]
    assert model.similarity_.shape == (7, 6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"by": "both", "feedback": "explicit"}, "by='both' compares items by their content: name its columns"),
        ({"metric": "bm25", "feedback": "explicit"}, "metric='bm25' weighs counts, not ratings"),
    ],
)
def test_what_does_not_fit_together(parameters, message):
    X, y = data(0)
    with pytest.raises(ValueError, match=message):
        NeighborsRecommender(**parameters).fit(X[:, :2].astype(int), y)


def test_each_new_item_is_compared_once_however_many_rows_ask_for_it(monkeypatch):
    rng = np.random.default_rng(0)
    words = np.array(["crew", "ship", "star", "farm", "bread", "river", "king"])
    texts = [" ".join(rng.choice(words, 3)) for _ in range(60)]
    pairs = [[user, int(item), texts[item]] for user in range(40) for item in rng.choice(20, 6, replace=False)]
    model = NeighborsRecommender(
        feedback="implicit", item_features=2, item_encoder=CountVectorizer(), content_weight=0.5, n_neighbors=5
    ).fit(np.array(pairs, dtype=object))
    asked = np.array([[user, item, texts[item]] for user in range(40) for item in range(20, 60)], dtype=object)
    asked = asked[rng.permutation(len(asked))]
    compared, similar = [], NeighborsRecommender._similar_content

    def counted(self, vectors):
        compared.append(vectors.shape[0])
        return similar(self, vectors)

    monkeypatch.setattr(NeighborsRecommender, "_similar_content", counted)
    scores = model.predict(asked)
    n_blocks = -(-len(asked) // 256)
    assert 40 <= sum(compared) <= 40 + n_blocks  # an item may lie on the border of two blocks
    alone = [model.predict(row[np.newaxis])[0] for row in asked[::97]]
    assert_allclose(scores[::97], alone, rtol=1e-12)
