"""RemoteTextEncoder against a real server: the contract, requests, answers that are wrong, the store, the key."""

import json
import math
import pickle
import subprocess
import threading
import traceback
from functools import partial

import joblib
import numpy as np
import pytest
from embedding_server import KEY, N_DIMS, body, changed, cut, redirect, serving, slow, status, vector_of
from fresh_process import start_python
from joblib.externals.loky import get_reusable_executor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skllmrec import EmbeddingStore, RemoteTextEncoder
from skllmrec._remote_api import RemoteAPI
from skllmrec.encoders.remote import _encoder
from skllmrec.encoders.remote._job import cut_batches, read_embeddings
from skllmrec.exceptions import RemoteAPIError
from skllmrec.testing import check_encoder

TEXTS = [f"film {number} " + "and so on " * (number % 7) for number in range(100)]
EXPECTED = np.array([vector_of(text) for text in TEXTS])
PROBE = 1  # text that fit sends


@pytest.fixture(autouse=True)
def environment(api_key, monkeypatch):
    """A key, no proxies, and no time lost with waiting."""
    monkeypatch.setattr(_encoder, "RemoteAPI", partial(RemoteAPI, sleep=lambda seconds: None))


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def make(server):
    """Makes encoders that ask the server."""
    return partial(RemoteTextEncoder, model="hash", base_url=server.url)


def fitted(make, server, **parameters):
    """An encoder that has found its server in order."""
    encoder = make(**parameters).fit(["any"])
    server.requests.clear()
    server.texts.clear()
    return encoder


@pytest.mark.parametrize(
    "parameters",
    [{}, {"memory": True}, {"normalize": True, "prompt": "query: ", "encoding_format": "base64"}, {"dimensions": 5}],
    ids=["plain", "store", "options", "dimensions"],
)
def test_contract(make, parameters, tmp_path):
    if "memory" in parameters:
        parameters = {"memory": tmp_path}
    outcomes = check_encoder(make(max_batch_texts=2, **parameters))
    assert set(outcomes.values()) == {"passed"}


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
@pytest.mark.parametrize("dimensions", [None, 5])
def test_vectors_are_those_of_the_server(make, server, encoding_format, dimensions):
    encoder = make(encoding_format=encoding_format, dimensions=dimensions, max_batch_texts=7).fit(TEXTS)
    assert encoder.embedding_size_ == (dimensions or N_DIMS)
    assert len(server.requests) == (dimensions is None)  # with `dimensions` there is nothing to ask
    assert_array_equal(encoder.transform(TEXTS), [vector_of(text, dimensions or N_DIMS) for text in TEXTS])
    for request in server.requests:
        fields = {"model": "hash", "encoding_format": encoding_format, "input": request["input"]}
        assert request == fields | ({} if dimensions is None else {"dimensions": dimensions})


def test_normalize(make):
    vectors = make(normalize=True).fit_transform([*TEXTS, ""])
    assert_allclose(vectors[:-1], EXPECTED / np.linalg.norm(EXPECTED, axis=1)[:, None], rtol=1e-6)
    assert not vectors[-1].any()


def test_prompt_and_more_fields(make, server):
    extra = {"input_type": "passage"}
    vectors = make(prompt="passage: ", extra_body=extra).fit_transform(["a film"])
    assert_array_equal(vectors[0], vector_of("passage: a film"))
    assert [request["input_type"] for request in server.requests] == ["passage"] * 2
    assert extra == {"input_type": "passage"}


@pytest.mark.parametrize("prompt", [None, " ", "q:"])
def test_blank_texts_are_not_sent(make, server, prompt):
    blank = ["", "  ", "\n\t", "\u3000"]
    encoder = fitted(make, server, prompt=prompt)
    vectors = encoder.transform([*blank, "a"])
    if prompt == "q:":
        assert_array_equal(vectors, [vector_of("q:" + text) for text in [*blank, "a"]])
    else:
        assert not vectors[:-1].any()
        assert list(server.texts) == [(prompt or "") + "a"]
        encoder.transform(blank)
        assert len(server.requests) == 1


def test_requests_are_limited_by_number_and_size(make, server):
    encoder = fitted(make, server, max_batch_texts=10, max_batch_chars=300)
    long = "x" * 1000
    assert_array_equal(encoder.transform([long, *TEXTS]), [vector_of(long), *EXPECTED])
    batches = [request["input"] for request in server.requests]
    assert sorted(text for batch in batches for text in batch) == sorted([long, *TEXTS])
    assert max(map(len, batches)) == 10
    assert [len(batch) for batch in batches if sum(map(len, batch)) > 300] == [1]


def test_cut_batches_like_a_naive_loop():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(0, 12, rng.integers(0, 30))
        max_texts, max_chars = rng.integers(1, 6), rng.integers(1, 25)
        batches = []
        for length in lengths:
            if not batches or len(batches[-1]) == max_texts or sum(batches[-1]) + length > max_chars:
                batches.append([])
            batches[-1].append(length)
        cuts = cut_batches(lengths, max_texts=max_texts, max_chars=max_chars)
        assert [lengths[cut].tolist() for cut in cuts] == batches


@pytest.mark.parametrize("n_concurrent", [1, 3])
def test_concurrency_is_used_and_limited(make, server, n_concurrent):
    encoder, meeting = (
        fitted(make, server, n_concurrent=n_concurrent, max_batch_texts=10),
        threading.Barrier(n_concurrent),
    )
    server.faults = [lambda handler, request: meeting.wait(60) >= 0] * 9  # goes on when so many requests are there
    assert_array_equal(encoder.transform(TEXTS), EXPECTED)
    assert server.most_active == n_concurrent


@pytest.mark.parametrize("largest", [1, 5, 32])
def test_batch_that_is_too_large_is_halved(largest):
    with serving(largest_batch=largest) as server:
        encoder = RemoteTextEncoder("hash", base_url=server.url, n_concurrent=1)
        assert_array_equal(encoder.fit_transform(TEXTS), EXPECTED)
        refused = [request for request in server.requests if len(request["input"]) > largest]
        assert len(refused) == math.ceil(math.log2(64 / largest))  # then the limit is known
        assert sum(server.texts.values()) == len(TEXTS) + PROBE


@pytest.mark.parametrize(
    ("code", "message"),
    [(413, ""), (400, "This model's maximum context length is 512 tokens"), (422, "batch size 64 > maximum 32")],
)
def test_batch_that_is_too_large_in_other_words(make, server, code, message):
    encoder = fitted(make, server)
    server.faults = [status(code, message)]
    assert_array_equal(encoder.transform(TEXTS[:8]), EXPECTED[:8])
    assert [len(request["input"]) for request in server.requests] == [8, 4, 4]


def test_other_refusals_are_not_halved(make, server):
    encoder = fitted(make, server)
    server.faults = [status(400, "no such model")]
    with pytest.raises(RemoteAPIError, match="'no such model'"):
        encoder.transform(TEXTS[:8])
    assert len(server.requests) == 1


def test_text_that_is_too_long_is_named(make, server):
    long = "far too long " * 50

    def refuse(handler, request):
        return handler.refuse(413, "too long") if long in request["input"] else True

    encoder = fitted(make, server, n_concurrent=1)
    server.faults = [refuse] * 20
    with pytest.raises(RemoteAPIError, match=r"the one of 650 characters that begins 'far too long far .* is too long"):
        encoder.transform([*TEXTS[:8], long])


WRONG = {
    "too few": (changed(lambda entries: entries[1:]), "3 embeddings for 4 texts"),
    "too many": (changed(lambda entries: [*entries, entries[0]]), "5 embeddings for 4 texts"),
    "none": (changed(lambda entries: []), "0 embeddings for 4 texts"),
    "no data": (body({"object": "list", "model": "x"}), r"no list 'data' \(but 'model', 'object'\)"),
    "data null": (body({"data": None}), "no list 'data'"),
    "empty object": (body({}), r"no list 'data' \(but nothing\)"),
    "no index": (changed(lambda entries: entries[2].pop("index") and None), "entry 2 of 'data' has no index"),
    "index text": (changed(lambda entries: entries[1].update(index="1")), "entry 1 of 'data' has no index"),
    "index true": (changed(lambda entries: entries[1].update(index=True)), "entry 1 of 'data' has no index"),
    "index twice": (changed(lambda entries: entries[1].update(index=0)), r"the indices \[0, 0, 2, 3\] where"),
    "index beyond": (changed(lambda entries: entries[1].update(index=4)), r"the indices \[0, 2, 3, 4\] where"),
    "index negative": (changed(lambda entries: entries[3].update(index=-1)), r"the indices \[-1, 0, 1, 2\]"),
    "entry text": (changed(lambda entries: ["a"] * 4), "entry 0 of 'data' has no index"),
    "one shorter": (changed(lambda entries: entries[2]["embedding"].pop() and None), "length 7, 8 where .* 8"),
    "all shorter": (changed(lambda entries: [e["embedding"].pop() for e in entries] and None), "length 7 where .* 8"),
    "empty": (changed(lambda entries: entries[0].update(embedding=[])), "embedding 0 is empty"),
    "missing": (changed(lambda entries: entries[0].pop("embedding") and None), "embedding 0 is NoneType"),
    "NaN": (changed(lambda entries: entries[2].update(embedding=[math.nan] * 8)), "NaN, infinity .* in 1 of 4"),
    "infinity": (changed(lambda entries: entries[2]["embedding"].__setitem__(0, -math.inf)), "NaN, infinity"),
    "beyond float32": (changed(lambda entries: entries[2]["embedding"].__setitem__(0, 1e39)), "NaN, infinity"),
    "beyond float64": (changed(lambda entries: entries[2].update(embedding=[10**400] * 8)), "embedding 2 holds what"),
    "null": (changed(lambda entries: entries[2]["embedding"].__setitem__(3, None)), "embedding 2 holds null"),
    "strings": (changed(lambda entries: entries[2].update(embedding=["1.0"] * 8)), "embedding 2 holds what is no"),
    "booleans": (changed(lambda entries: entries[2].update(embedding=[True] * 8)), "embedding 2 holds what is no"),
    "tokens": (changed(lambda entries: entries[2].update(embedding=[[1.0] * 8])), "a vector for each token"),
    "ragged": (changed(lambda entries: entries[2].update(embedding=[1.0, [2.0]])), "a vector for each token"),
    "no base64": (changed(lambda entries: entries[2].update(embedding="-_-")), "embedding 2 is a string, but not"),
    "cut base64": (changed(lambda entries: entries[2].update(embedding="AAAAAAA=")), "embedding 2 is a string"),
    "base64 NaN": (changed(lambda entries: entries[2].update(embedding="AADAfw==" * 1)), "length 1, 8 where"),
    "no JSON": (body(b"<html>"), "gave what is no JSON"),
    "a list": (body([1, 2]), "gave a JSON list"),
    "an error": (body({"error": {"message": "overloaded"}}), r"gave an error \('overloaded'\)"),
    "redirect": (redirect(307, "https://example.com/v1/embeddings"), "redirects .* are not followed"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer_is_an_error_and_is_not_kept(make, server, tmp_path, name):
    fault, message = WRONG[name]
    store = EmbeddingStore(tmp_path)
    encoder = fitted(make, server, memory=store)
    server.faults = [fault]
    with pytest.raises(RemoteAPIError, match=message) as caught:
        encoder.transform(TEXTS[:4])
    assert server.url in str(caught.value)
    assert len(server.requests) == 1
    stats = store.stats()
    assert (stats["texts"], stats["claims"]) == (0, 0)
    assert_array_equal(encoder.transform(TEXTS[:4]), EXPECTED[:4])


def test_wrong_answer_to_the_probe(make, server):
    server.faults = [changed(lambda entries: entries[0].update(embedding=[math.nan] * 8))]
    encoder = make()
    with pytest.raises(RemoteAPIError, match="NaN"):
        encoder.fit(TEXTS)
    assert not hasattr(encoder, "embedding_size_")


def test_order_of_the_answer_does_not_matter(make, server):
    encoder = fitted(make, server)
    server.faults = [changed(lambda entries: entries[::-1]), changed(lambda entries: entries[5:] + entries[:5])]
    assert_array_equal(encoder.transform(TEXTS), EXPECTED)


def test_whole_numbers_are_numbers():
    answer = {"data": [{"index": 0, "embedding": [1, 2.5, -3]}]}
    assert_array_equal(read_embeddings(answer, n_texts=1, n_dims=3), np.array([[1, 2.5, -3]], dtype=np.float32))


def test_dimensions_that_the_server_ignores(make, server):
    encoder = make(dimensions=5).fit(TEXTS)
    server.faults = [changed(lambda entries: [e.update(embedding=[1.0] * 8) for e in entries] and None)]
    with pytest.raises(RemoteAPIError, match="embeddings of length 8 where all of length 5 were expected"):
        encoder.transform(["a film"])


def test_bad_days_of_a_server_change_nothing(make, server, tmp_path):
    """Every fault that may pass, one after the other, and each text counted once."""
    store = EmbeddingStore(tmp_path)
    # a busy machine may hand all of them to one request, and be slow by itself
    encoder = fitted(make, server, memory=store, max_batch_texts=4, max_retries=20, timeout=1.0)
    server.faults = [
        status(429), status(429, Retry_After=2), status(500), status(503), cut(), cut(None), None, None, slow(2.0),
        None, cut(0), None, status(502), cut(announced=False), status(504), changed(lambda entries: entries[::-1]),
    ]  # fmt: skip
    assert_array_equal(encoder.transform(TEXTS), EXPECTED)
    assert server.faults == []
    stats = store.stats()
    assert (stats["texts"], stats["encoded"], stats["claims"]) == (len(TEXTS), len(TEXTS), 0)


def test_groups_that_were_encoded_are_kept_when_a_later_one_fails(make, server, tmp_path):
    store = EmbeddingStore(tmp_path)
    encoder = fitted(make, server, memory=store, max_batch_texts=5, n_concurrent=2)  # 40 texts in a group
    server.faults = [None] * 10 + [status(400, "out of order")]
    with pytest.raises(RemoteAPIError, match="out of order"):
        encoder.transform(TEXTS)
    assert store.stats()["texts"] == 40
    server.faults.clear()
    server.texts.clear()
    assert_array_equal(encoder.transform(TEXTS), EXPECTED)
    assert sum(server.texts.values()) == 60


def test_known_texts_need_no_server(make, server, tmp_path):
    encoder = fitted(make, server, memory=tmp_path)
    encoder.transform(TEXTS)
    server.requests.clear()
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(TEXTS[::-1]), EXPECTED[::-1])  # noqa: S301
    assert server.requests == []


def test_store_is_keyed_by_all_that_changes_a_vector(make, server, tmp_path):
    store = EmbeddingStore(tmp_path)
    changes = [
        {}, {"prompt": "q: "}, {"normalize": True}, {"dimensions": 5}, {"dimensions": 8}, {"model": "other"},
        {"extra_body": {"input_type": "query"}}, {"base_url": server.url.replace("127.0.0.1", "localhost")},
    ]  # fmt: skip
    for change in changes:
        make(memory=store, **change).fit_transform(TEXTS)
    assert store.stats()["encoded"] == len(changes) * len(TEXTS)
    server.texts.clear()
    same = [
        {"max_batch_texts": 3}, {"max_batch_chars": 50}, {"n_concurrent": 1}, {"timeout": 5}, {"max_retries": 0},
        {"encoding_format": "base64"}, {"api_key_env": "TEST_KEY"}, {"base_url": server.url + "/"}, {"verbose": True},
        {"prompt": ""}, {"extra_body": {}},
    ]  # fmt: skip
    for change in same:
        assert_array_equal(make(memory=store, **change).fit_transform(TEXTS), EXPECTED)
    assert sum(server.texts.values()) == len(same) * PROBE


ENCODE = """
import json, sys, numpy as np
from skllmrec import RemoteTextEncoder
encoder = RemoteTextEncoder("hash", base_url=sys.argv[1], memory=sys.argv[2], max_batch_texts=5, dimensions=8)
print("ready", flush=True)
np.save(sys.argv[3], encoder.fit_transform(json.loads(sys.stdin.readline())))
"""


def test_two_processes_send_each_text_once(tmp_path):
    with serving(delay=0.05) as server:
        processes = []
        for name in "ab":
            arguments = server.url, tmp_path / "store", tmp_path / f"{name}.npy"
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            processes.append(start_python(ENCODE, *arguments, **pipes))
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
        for process in processes:
            process.stdin.write(json.dumps(TEXTS) + "\n")
            process.stdin.flush()
        assert [process.wait() for process in processes] == [0, 0]
        for process in processes:
            process.stdin.close()
            process.stdout.close()
        assert set(server.texts) == set(TEXTS)
        assert set(server.texts.values()) == {1}
    for name in "ab":
        assert_array_equal(np.load(tmp_path / f"{name}.npy"), EXPECTED)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_sends_each_text_once(make, server, tmp_path, n_jobs):
    get_reusable_executor().shutdown(wait=True)  # workers of earlier tests have not seen the variable
    server.key = KEY
    encoder = make(memory=tmp_path, api_key_env="TEST_KEY")
    grid = {"remotetextencoder__normalize": [False, True], "ridge__alpha": [1.0, 10.0]}
    search = GridSearchCV(make_pipeline(encoder, Ridge()), grid, cv=3, n_jobs=n_jobs)
    search.fit(TEXTS, EXPECTED[:, 0])
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    sent = {text: count for text, count in server.texts.items() if text != _encoder._PROBE}
    assert set(sent) == set(TEXTS)
    assert set(sent.values()) == {2}  # with and without normalize


def test_key_reaches_the_server_and_nothing_else(make, server, tmp_path, capfd):
    server.key = KEY
    encoder = make(api_key_env="TEST_KEY", memory=tmp_path / "store", verbose=True)
    assert_array_equal(encoder.fit_transform(TEXTS), EXPECTED)
    joblib.dump(encoder, tmp_path / "encoder.joblib")
    shown = [
        repr(encoder),
        repr(encoder.get_params()),
        repr(vars(encoder)),
        repr(encoder._identity()),
        *capfd.readouterr(),
    ]
    assert KEY not in "".join(shown)
    assert KEY.encode() not in pickle.dumps(encoder)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert_array_equal(joblib.load(tmp_path / "encoder.joblib").transform(["new"]), [vector_of("new")])
    assert_array_equal(clone(encoder).fit_transform(["newer"]), [vector_of("newer")])


def test_wrong_key_is_not_in_the_error(make, server):
    server.key = "another"
    with pytest.raises(
        RemoteAPIError, match=r"answered 401 Unauthorized \('Incorrect .* Bearer \*\*\*'\): check"
    ) as caught:
        make(api_key_env="TEST_KEY").fit(TEXTS)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert KEY not in "".join(report.format())


def test_skops(make, server):
    io = pytest.importorskip("skops.io")
    encoder = fitted(make, server, api_key_env="TEST_KEY")
    dumped = io.dumps(encoder)
    assert KEY.encode() not in dumped
    loaded = io.loads(dumped, trusted=io.get_untrusted_types(data=dumped))
    assert_array_equal(loaded.transform(TEXTS), EXPECTED)


def test_iterators_and_files(make, server, tmp_path):
    encoder = fitted(make, server)
    assert_array_equal(encoder.transform(iter(TEXTS)), EXPECTED)
    assert_array_equal(encoder.transform(TEXTS, out=tmp_path / "vectors.npy"), EXPECTED)
    assert not [path for path in tmp_path.iterdir() if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"base_url": "localhost"}, "base_url='localhost' is no address of a server"),
        ({"base_url": "http://models.example.com/v1", "api_key_env": "TEST_KEY"}, "without encryption"),
        ({"api_key_env": "NO_SUCH_KEY"}, "'NO_SUCH_KEY', is not set here or empty"),
        ({"extra_body": {"input": 1, "model": 2}}, "sets input, model: use the parameters of the encoder"),
        ({"extra_body": {"x": {1}}}, "cannot be sent as JSON"),
        ({"extra_body": {"x": math.nan}}, "cannot be sent as JSON"),
        ({"model": 5}, "The 'model' parameter of RemoteTextEncoder must be an instance of 'str'"),
        ({"dimensions": 0}, "The 'dimensions' parameter"),
        ({"encoding_format": "hex"}, "The 'encoding_format' parameter"),
        ({"max_batch_texts": 0}, "The 'max_batch_texts' parameter"),
        ({"max_batch_chars": 0}, "The 'max_batch_chars' parameter"),
        ({"n_concurrent": 0}, "The 'n_concurrent' parameter"),
        ({"timeout": 0}, "The 'timeout' parameter"),
        ({"max_retries": -1}, "The 'max_retries' parameter"),
        ({"memory": 5}, "The 'memory' parameter"),
    ],
)
@pytest.mark.parametrize("dimensions", [None, 4])
def test_bad_parameters(make, server, parameters, message, dimensions):
    with pytest.raises(ValueError, match=message):
        make(**{"dimensions": dimensions, **parameters}).fit(TEXTS)
    assert server.requests == []


def test_init_asks_nobody():
    assert RemoteTextEncoder("m", base_url="nonsense", api_key_env="NO_SUCH_KEY").base_url == "nonsense"
