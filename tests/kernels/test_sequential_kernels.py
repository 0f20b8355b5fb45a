"""Kernels of sequential recommenders, against naive loops and torch's own operations."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.decomposition import PCA

from skllmrec._kernels.sequential.events import (
    Sequences,
    cut_windows,
    is_first_mention,
    join_histories,
    order_events,
)
from skllmrec._kernels.sequential.item_inputs import MOST_COMPONENTS, ItemInputs
from skllmrec._kernels.sequential.losses import next_item_loss
from skllmrec._kernels.sequential.states import attended_states, pooled_states, unit_rows

N_ITEMS = 9


def rows(seed, n=120):
    """Users, items and times, with many equal times and some repeated rows."""
    generator = np.random.default_rng(seed)
    return tuple(generator.integers(0, high, n) for high in (7, N_ITEMS, 6))


def events(seed=0):
    return order_events(*rows(seed))


# -- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_events_are_the_distinct_rows_by_user_and_time(seed):
    found = events(seed)
    expected = sorted(set(zip(*(part.tolist() for part in rows(seed)), strict=True)))
    assert len(found) == len(expected)
    assert sorted(zip(found.users, found.items, found.times, strict=True)) == expected
    assert_array_equal(np.lexsort((found.times, found.users)), np.arange(len(found)))
    naive = [next(i for i, user in enumerate(found.users) if user == own) for own in found.users]
    assert_array_equal(found.starts, naive)


def test_the_order_of_rows_does_not_matter_and_that_of_one_moment_is_none():
    users, items, times = rows(2)
    order = np.random.default_rng(0).permutation(len(users))
    one, other = order_events(users, items, times), order_events(users[order], items[order], times[order])
    assert_array_equal(one.items, other.items)
    at_once = order_events(np.repeat(np.arange(200), 2), np.tile([3, 5], 200), np.zeros(400))
    share = (at_once.items[::2] == 3).mean()
    assert 0.35 < share < 0.65, "neither item comes first for most users"


def test_events_of_datetimes():
    times = np.array(["2026-01-02", "2026-01-01"], dtype="datetime64[D]")
    assert order_events(np.zeros(2, int), np.array([7, 8]), times).items.tolist() == [8, 7]
    assert len(order_events(*(np.zeros(0, int),) * 3)) == 0


def test_the_last_events_of_each_user():
    found = events().last(3)
    for user in range(7):
        assert_array_equal(found.items[found.users == user], events().items[events().users == user][-3:])


@pytest.mark.parametrize("length", [1, 3, 50])
def test_histories_against_lists(length):
    generator = np.random.default_rng(0)
    lists = [
        [generator.integers(N_ITEMS, size=size).tolist() for size in generator.integers(0, 6, 8)] for _ in range(2)
    ]
    made = [
        Sequences.of(np.repeat(np.arange(8), [len(x) for x in part]), np.concatenate(part).astype(int), 8)
        for part in lists
    ]
    latest = [(x[::-1] + [-1] * length)[:length] for x in lists[0]]
    assert_array_equal(made[0].latest(length), latest)
    picked = np.array([3, -1, 0, 3])
    assert_array_equal(made[0].take(picked).latest(length), [latest[p] if p >= 0 else [-1] * length for p in picked])
    joined = [((a + b)[::-1] + [-1] * length)[:length] for a, b in zip(*lists, strict=True)]
    assert_array_equal(join_histories(*made, length), joined)
    rows = join_histories(*made, length)
    naive = [[item >= 0 and item not in row[:age] for age, item in enumerate(row)] for row in rows.tolist()]
    assert_array_equal(is_first_mention(rows), naive)


def test_no_items_at_all():
    assert_array_equal(Sequences.of(np.zeros(0, int), np.zeros(0, int), 2).latest(2), [[-1, -1], [-1, -1]])


def test_next_event_with_the_same_item():
    found = events()
    pairs = list(zip(found.users.tolist(), found.items.tolist(), strict=True))
    naive = [next((j for j in range(i + 1, len(pairs)) if pairs[j] == pairs[i]), len(pairs)) for i in range(len(pairs))]
    assert_array_equal(found.next_same(), naive)


@pytest.mark.parametrize("length", [1, 4, 100])
def test_windows_hold_each_event_once_and_one_user(length):
    found = events()
    first, count = cut_windows(found, length)
    assert count.max() <= length and count.sum() == len(found)
    for start, size in zip(first, count, strict=True):
        assert len(set(found.users[start : start + size])) == 1
    last = found.starts[first + count - 1]
    assert all(size == length or start == own for start, size, own in zip(first, count, last, strict=True))


# -- features -------------------------------------------------------------------------------------------------------


def text_and_vectors(n=60, seed=0):
    generator = np.random.default_rng(seed)
    text = sparse.random(n, 30, density=0.1, random_state=seed, format="csr") * 7.0
    return text, generator.normal(size=(n, 12)) + 3.0


def test_blocks_are_principal_components_of_equal_weight():
    text, vectors = text_and_vectors()
    inputs = ItemInputs.learn(sparse.hstack([text, vectors], format="csr"))
    found = inputs.rows(sparse.hstack([text, vectors], format="csr"))
    assert_array_equal(inputs.words, np.arange(30))
    assert inputs.width == found.shape[1] == 12 + 30
    for part, block in ((found[:, :12], vectors), (found[:, 12:], text.toarray())):
        expected = PCA().fit_transform(block)
        expected /= np.sqrt((expected**2).sum(axis=1).mean())
        assert_allclose(part @ part.T, expected @ expected.T, atol=1e-4)
    words = inputs.word_rows(sparse.hstack([text, vectors], format="csr"))
    assert words.dtype == np.float32
    assert_allclose((words.power(2)).sum() / 60, 1.0, rtol=1e-5)
    assert_allclose(words.toarray() * inputs.scale, text.toarray(), rtol=1e-5)


def test_dense_features_have_no_words_and_few_components_are_kept():
    vectors = np.random.default_rng(0).normal(size=(300, 200))
    inputs = ItemInputs.learn(vectors)
    assert inputs.width == MOST_COMPONENTS and inputs.word_rows(vectors) is None
    assert_allclose(inputs.rows(vectors[[5, 5]])[0], inputs.rows(vectors[[5, 5]])[1], rtol=0)


def test_frequent_words_are_no_block_of_numbers():
    text = sparse.csr_matrix(np.column_stack([np.ones(20), np.eye(20)]))
    assert len(ItemInputs.learn(text).words) == 21


def test_constant_features_say_nothing():
    assert ItemInputs.learn(np.ones((5, 3))).width == 0
    assert ItemInputs.learn(np.ones((5, 3))).rows(np.ones((2, 3))).shape == (2, 0)


# -- states ---------------------------------------------------------------------------------------------------------


def network(encoder, **params):
    torch = pytest.importorskip("torch")
    from skllmrec.recommenders.sequential._network import Architecture, ItemTable, SequenceNetwork

    settings = {"n_layers": 2, "n_heads": 2, "ids": True, "word_vectors": True, "dropout": 0.0, **params}
    architecture = Architecture(encoder, n_components=8, max_length=5, **settings)
    table = ItemTable(np.zeros((N_ITEMS, 0), np.float32), None, N_ITEMS, torch.device("cpu"))
    made = SequenceNetwork(architecture, table, 0, 0, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in made.parameters.values():
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return made


HISTORIES = np.array([[1, 2, 3, 4, 5], [4, 4, -1, -1, -1], [-1] * 5, [0, 8, 7, 6, -1]])


def test_pooled_states_are_those_of_the_network():
    torch = pytest.importorskip("torch")
    made = network("pooling")
    embeddings = made.table.embed(made.parameters)
    expected = made.pooled(embeddings, torch.from_numpy(HISTORIES), False).detach().numpy()
    found = pooled_states(embeddings.detach().numpy(), HISTORIES, made.arrays())
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    alone = pooled_states(embeddings.detach().numpy(), HISTORIES[2:3], made.arrays())
    assert_allclose(alone[0], made.arrays()["start"])


@pytest.mark.parametrize("n_layers", [1, 3])
def test_attended_states_are_those_of_the_network_at_each_place(n_layers):
    torch = pytest.importorskip("torch")
    made = network("attention", n_layers=n_layers)
    embeddings = made.table.embed(made.parameters)
    weights, table = made.arrays(), embeddings.detach().numpy()
    window = [-1, 1, 5, 2, 7]  # the start, and four items
    expected = made.attended(embeddings, torch.tensor([window]), False)[0].detach().numpy()
    for place in range(5):
        before = window[1 : place + 1][::-1]
        history = np.array([before + [-1] * (5 - len(before))])
        assert_allclose(attended_states(table, history, weights, 2)[0], expected[place], rtol=1e-4, atol=1e-5)
    full = made.attended(embeddings, torch.tensor([[5, 4, 3, 2, 1]]), False)[0, -1].detach().numpy()
    found = attended_states(table, HISTORIES, weights, 2)
    assert_allclose(found[0], full, rtol=1e-4, atol=1e-5)
    assert_allclose(found[3], attended_states(table, HISTORIES[3:], weights, 2)[0], rtol=1e-5)


def test_unit_rows():
    assert_allclose(unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0.0, 0.0]])


# -- embeddings and loss --------------------------------------------------------------------------------------------


def test_embeddings_of_some_items_are_rows_of_all():
    torch = pytest.importorskip("torch")
    from skllmrec.recommenders.sequential._network import ItemTable

    text, vectors = text_and_vectors(20)
    text = sparse.csr_matrix(text.toarray() * (np.arange(20) != 4)[:, np.newaxis])  # an item without a word
    table = ItemTable(vectors.astype(np.float32), text.astype(np.float32), 20, torch.device("cpu"))
    sizes = {"projection": (12, 3), "words": (30, 3), "ids": (20, 3)}
    parameters = {name: torch.randn(size, requires_grad=True) for name, size in sizes.items()}
    p = {name: tensor.detach().numpy() for name, tensor in parameters.items()}
    everything = vectors @ p["projection"] + text @ p["words"] + p["ids"]
    wanted = [7, 4, 0, 19]
    assert_allclose(table.embed(parameters).detach(), everything, rtol=1e-4, atol=1e-5)
    assert_allclose(table.embed(parameters, torch.tensor(wanted)).detach(), everything[wanted], rtol=1e-4, atol=1e-5)


def test_loss_is_cross_entropy_with_its_gradients():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    states, items, values = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((3, 4), (6, 4), 2)
    )
    targets, rows, columns = torch.tensor([0, 5, 2]), torch.tensor([0, 2]), torch.tensor([0, 4])
    scores = (states @ items.T).index_put((rows, columns), values, accumulate=True)
    expected = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
    found = next_item_loss(states, items, targets, (rows, columns, values))
    assert_allclose(found.detach(), expected.detach())
    weights = torch.tensor([1.0, 2.0, 0.5])
    gradients = [torch.autograd.grad((weights * loss).sum(), (states, items, values)) for loss in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert_allclose(one, other)


def test_sampled_loss_weighs_candidates_by_their_probability():
    torch = pytest.importorskip("torch")
    states, items = torch.randn(1, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    inclusion = torch.tensor([0.5, 1.0, 0.25, 0.1, 0.2], dtype=torch.float64)
    none = torch.empty(0, dtype=torch.int64)
    found = next_item_loss(states, items, torch.tensor([3]), (none, none, torch.empty(0)), inclusion)
    exponentials = (states @ items.T).exp()[0]
    others = (exponentials / inclusion)[[0, 1, 2, 4]].sum()
    assert_allclose(found, -torch.log(exponentials[3] / (exponentials[3] + others)))
