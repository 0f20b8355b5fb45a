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
from embedding_server import KEY, N_DIMS, body, changed, cut, entries_of, redirect, serving, slow, status, vector_of
from fresh_process import start_python
from joblib.externals.loky import get_reusable_executor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skllmrec._texts as texts_module
from skllmrec import EmbeddingStore, RemoteTextEncoder
from skllmrec._remote_api import RemoteAPI
from skllmrec.encoders.remote import _encoder
from skllmrec.encoders.remote._answers import read_embeddings
from skllmrec.encoders.remote._job import cut_batches
from skllmrec.encoders.remote._requests import PROBE as PROBE_TEXT
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


LIMITS = {  # as users of these services have reported them
    "TEI": (413, "batch size {given} > maximum allowed batch size {limit}"),
    "SiliconFlow": (400, "input batch size {given} > maximum allowed batch size {limit}"),
    "DashScope": (
        400,
        "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be larger than "
        "{limit}.: input.contents",
    ),
    "Cohere": (400, "invalid request: total number of texts must be at most {limit} - received {given}"),
    "Gemini": (400, "* BatchEmbedContentsRequest.requests: at most {limit} requests can be in one batch\n"),
    "Jina": (
        422,
        "[RID: ec42] Validation error: 'body -> jina-embeddings-v4' Each input list can contain at most "
        "{limit} items.. Field errors: : Invalid value",
    ),
    "Jina, before": (400, "input length is larger than the largest allowed size {limit}"),
    "Azure": (
        400,
        "Too many inputs. The max number of inputs is {limit}.  We hope to increase the number of inputs "
        "per request soon. Please contact us through an Azure support request for further questions.",
    ),
    "Vertex AI": (400, "{limit} instance(s) is allowed per prediction. Actual: {given}"),
    "OpenAI": (
        400,
        "Invalid 'input': array too long. Expected an array with maximum length {limit}, but got an array "
        "with length {given} instead.",
    ),
    "pydantic": (422, "List should have at most {limit} items after validation, not {given}"),
    "behind a proxy": (500, "litellm.InternalServerError: The max number of inputs is {limit}."),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limit_that_a_server_names_is_kept(name):
    with serving(largest_batch=12, refusal=LIMITS[name]) as server:
        encoder = RemoteTextEncoder("hash", base_url=server.url, n_concurrent=1).fit(["any"])
        server.requests.clear()
        assert_array_equal(encoder.transform(TEXTS), EXPECTED)
        sizes = [len(request["input"]) for request in server.requests]
        assert sizes[0] == 64 and max(sizes[1:]) <= 12, "the first refusal tells the limit"
        assert len(sizes) == 1 + math.ceil(64 / 12) + math.ceil(36 / 12)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (413, ""),
        (400, "This model's maximum context length is 512 tokens"),
        (
            400,
            "This model's maximum context length is 8192 tokens, however you requested 51435 tokens (51435 in your "
            "prompt; 0 for the completion). Please reduce your prompt; or completion length.",
        ),
        (400, "Requested 416735 tokens, max 300000 tokens per request"),
        (400, "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."),
        (400, "Too many tokens in batch. Max is 16384 got 17555"),
        (400, "Too many inputs in request, split into more batches."),
        (400, "Too many tokens overall, split into more batches"),
        (
            400,
            "Request to model 'voyage-3-large' failed. The max allowed tokens per submitted batch is 120000. Your "
            "batch has 121138 tokens after truncation. Please lower the number of tokens in the batch.",
        ),
        (400, "Request payload size exceeds the limit: 4194304 bytes."),
        (400, "the input length exceeds the context length"),
        (422, "batch size 64 > maximum 32"),
        (413, "Request too large for model `m` in organization `o` on tokens per minute (TPM): Limit 6, Requested 7"),
        (429, "Request too large for m in organization o on tokens per min (TPM): Limit 40000, Requested 50000."),
        (500, "input is too large to process. increase the physical batch size"),
        (500, "input (992 tokens) is too large to process. increase the physical batch size (current batch size: 2)"),
        (500, "decoding exceeds the available context size. try increasing the context size."),
    ],
)
def test_batch_that_is_too_large_in_other_words(make, server, code, message):
    encoder = fitted(make, server)
    server.faults = [status(code, message)]
    assert_array_equal(encoder.transform(TEXTS[:8]), EXPECTED[:8])
    assert [len(request["input"]) for request in server.requests] == [8, 4, 4]


ACCOUNT = "check budget, quota and rate limits of the account"


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        (400, "Budget has been exceeded! Current cost: 26.075, Max budget: 0.25", ACCOUNT),
        (400, "litellm.BadRequestError: OpenAIException - Budget has been exceeded! Current cost: 14.1, Max", ACCOUNT),
        (400, "You have exceeded the maximum number of tokens per minute of your plan", ACCOUNT),
        (400, "You exceeded your current quota, please check your plan and billing details", ACCOUNT),
        (402, "Insufficient credits. Add more at the maximum rate", "check credit and budget"),
        (403, "Rate limit: too many requests, the maximum is 60 per minute", ACCOUNT),
        (413, "Rate limit of your input length exceeded: quota of the day", ACCOUNT),
        (422, "monthly spending limit exceeded", ACCOUNT),
        (
            400,
            'Model "bge-m3" does not support matryoshka representation, changing output dimensions will lead to '
            "poor results.",
            "check model, parameters",
        ),
        (400, "Invalid value for 'dimensions' = 4096. Must be at most the maximum of 1536.", "check model"),
        (400, "The model `too-long-name` does not exist: names have a maximum length of 9", "check model"),
        (422, "encoding_format: string too long", "check model"),
        (400, "no such model", "check model"),
    ],
)
def test_refusals_that_are_not_about_texts(make, server, code, message, remedy):
    encoder = fitted(make, server)
    server.faults = [status(code, message)] * 50
    with pytest.raises(RemoteAPIError, match=f"answered {code} .*{remedy}") as caught:
        encoder.transform(TEXTS[:8])
    assert caught.value.detail == message
    assert "too long for the server" not in str(caught.value)
    assert len(server.requests) == 1


def test_budget_of_a_proxy_is_not_waited_for(make, server):
    encoder = fitted(make, server)
    server.faults = [
        lambda handler, request: handler.send(429, {"error": {"message": "over", "type": "budget_exceeded"}})
    ] * 9
    with pytest.raises(RemoteAPIError, match=r"answered 429 .*check the quota of the account"):
        encoder.transform(TEXTS[:8])
    assert len(server.requests) == 1


BAD = "the bad one " * 9
SHOWN = r"\(108 characters, 'the bad one the bad one the bad one the \.\.\.'\)"
CRASH, NAN = "Internal Server Error", "failed to encode response: json: unsupported value: NaN"
TOO_LARGE = "input (992 tokens) is too large to process. increase the physical batch size (current batch size: 512)"


@pytest.mark.parametrize(
    ("code", "message", "match"),
    [
        (413, "too long", "is too long for the server by itself"),
        (413, "Input validation error: `inputs` must have less than 512 tokens. Given: 534", "is too long"),
        (
            400,
            "This model's maximum context length is 512 tokens. However, you requested 1451 tokens in the input for "
            "embedding generation. Please reduce the length of the input.",
            "is too long for the server",
        ),
        (500, TOO_LARGE, "is too long for the server"),
        (500, NAN, "cannot be encoded by the server, also when it is sent by itself"),
        (500, "Out of range float values are not JSON compliant: nan", "cannot be encoded by the server"),
    ],
)
def test_text_that_a_server_says_it_cannot_take_is_named(make, server, tmp_path, code, message, match):
    """The row of the user's input, with duplicates, blank and known texts before it; all others are kept."""
    store = EmbeddingStore(tmp_path)
    encoder = fitted(make, server, memory=store, n_concurrent=1, max_batch_texts=16, prompt="q: ")
    encoder.transform(TEXTS[:10])
    server.cannot["q: " + BAD] = status(code, message)
    server.requests.clear()
    X = [*TEXTS[:12], TEXTS[0], "", BAD, *TEXTS[12:], BAD]
    with pytest.raises(RemoteAPIError, match=rf"The text at position 14 {SHOWN} {match}") as caught:
        encoder.transform(X)
    assert (caught.value.status, caught.value.detail) == (code, message)
    assert len(server.requests) <= math.ceil(91 / 16) + 2 * 4 + 1, "halving, without repetitions"
    server.texts.clear()
    vectors = encoder.transform([text for text in X if text != BAD])
    assert len(vectors) == len(X) - 2 and not server.texts, "all others are in the store"
    assert_array_equal(vectors[-1], vector_of("q: " + TEXTS[-1]))
    assert store.stats()["claims"] == 0


def test_text_at_which_a_server_crashes_is_named(make, server, tmp_path):
    """The server says nothing about the input: requests are repeated, then the server is asked for another text."""
    encoder = fitted(make, server, memory=tmp_path, max_retries=2, n_concurrent=1)
    server.cannot[BAD] = status(500, CRASH)
    with pytest.raises(RemoteAPIError, match=rf"500 .*in 3 tries.* text at position 5 {SHOWN} cannot be encoded"):
        encoder.transform([*TEXTS[:5], BAD, *TEXTS[5:15]])
    sizes = [len(request["input"]) for request in server.requests]
    # 16 texts three times, another text, halves of which one fails (8, 4, 2), the text three times, another text
    assert sizes == [16, 16, 16, 1, 8, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1]
    server.texts.clear()
    assert_array_equal(encoder.transform(TEXTS[:15]), EXPECTED[:15])
    assert not server.texts


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_server_that_is_down_is_not_searched_for_a_text(make, server, code):
    encoder = fitted(make, server, max_retries=2, n_concurrent=1)
    server.faults = [status(code, CRASH)] * 99
    with pytest.raises(RemoteAPIError, match=f"answered {code} .* in 3 tries: ") as caught:
        encoder.transform(TEXTS)
    assert "position" not in str(caught.value)
    assert len(server.requests) == (4 if code in (500, 502) else 3), "one more for the text that shows it"


@pytest.mark.parametrize("message", [TOO_LARGE, NAN])
def test_server_that_takes_no_text_is_asked_a_few_times(make, server, tmp_path, message):
    encoder = fitted(make, server, memory=tmp_path, n_concurrent=1)
    server.faults = [status(500, message)] * 999
    with pytest.raises(RemoteAPIError, match="The text at position 0 "):
        encoder.transform(TEXTS[:64])
    assert len(server.requests) <= 16


def test_several_texts_are_named_by_row(make, server, tmp_path):
    encoder = fitted(make, server, memory=tmp_path, n_concurrent=1, max_batch_texts=5)
    bad = [f"bad {number}" for number in range(3)]
    server.cannot.update(dict.fromkeys(bad, status(500, NAN)))
    X = [bad[2], *TEXTS[:50], bad[0], *TEXTS[50:], bad[1]]
    with pytest.raises(RemoteAPIError, match=r"at position 0 .*'bad 2'.* 2 more text\(s\), at position\(s\) 51, 102"):
        encoder.transform(iter(X))
    server.texts.clear()
    assert_array_equal(encoder.transform(TEXTS), EXPECTED)
    assert not server.texts


def test_many_texts_that_fail_end_a_call(make, server, tmp_path):
    """From ten on, the reason is hardly the texts: the rest is not sent."""
    encoder = fitted(make, server, memory=tmp_path, n_concurrent=1, max_batch_texts=5)
    server.cannot.update(dict.fromkeys(TEXTS[::2], status(500, NAN)))
    with pytest.raises(RemoteAPIError, match="more text"):
        encoder.transform(TEXTS)
    assert 0 < len(server.texts) < 25


def test_position_in_a_later_block_of_an_iterator(make, server, monkeypatch):
    monkeypatch.setattr(texts_module, "BLOCK_TEXTS", 30)
    encoder = fitted(make, server)
    server.cannot[BAD] = status(500, NAN)
    with pytest.raises(RemoteAPIError, match="The text at position 70 "):
        encoder.transform(iter([*TEXTS[:70], BAD]))
    with pytest.raises(RemoteAPIError, match="The text at position 70 "):
        encoder.transform([*TEXTS[:70], BAD], out=np.empty((71, N_DIMS), dtype=np.float32))


def test_normalized_vectors_of_the_others_are_kept(make, server, tmp_path):
    encoder = fitted(make, server, memory=tmp_path, normalize=True)
    server.cannot[BAD] = status(500, NAN)
    with pytest.raises(RemoteAPIError, match="position 3 "):
        encoder.transform([*TEXTS[:3], BAD])
    server.texts.clear()
    assert_allclose(
        encoder.transform(TEXTS[:3]), EXPECTED[:3] / np.linalg.norm(EXPECTED[:3], axis=1)[:, None], rtol=1e-6
    )
    assert not server.texts


def edited(text, edit):
    """A fault: in each answer, an edit of the entry of a text."""

    def fault(handler, request):
        entries = entries_of(request)
        for sent, entry in zip(request["input"], entries, strict=True):
            if sent == text:
                edit(entry)
        handler.server.texts.update(request["input"])
        handler.answer(entries)

    return fault


WRONG_VECTORS = {
    "shorter": (lambda entry: entry["embedding"].pop(), "length 7 where 8 was expected"),
    "empty": (lambda entry: entry.update(embedding=[]), "an empty vector"),
    "missing": (lambda entry: entry.pop("embedding"), "NoneType for an embedding"),
    "NaN": (lambda entry: entry.update(embedding=[math.nan] * 8), "a vector with NaN, infinity"),
    "infinity": (lambda entry: entry["embedding"].__setitem__(0, -math.inf), "a vector with NaN, infinity"),
    "beyond float32": (lambda entry: entry["embedding"].__setitem__(0, 1e39), "a vector with NaN, infinity"),
    "beyond float64": (lambda entry: entry.update(embedding=[10**400] * 8), "holds what is no number"),
    "null": (lambda entry: entry["embedding"].__setitem__(3, None), "with null: the model computed NaN"),
    "strings": (lambda entry: entry.update(embedding=["1.0"] * 8), "holds what is no number"),
    "booleans": (lambda entry: entry.update(embedding=[True] * 8), "holds what is no number"),
    "tokens": (lambda entry: entry.update(embedding=[[1.0] * 8]), "a vector for each token"),
    "ragged": (lambda entry: entry.update(embedding=[1.0, [2.0]]), "a vector for each token"),
    "no base64": (lambda entry: entry.update(embedding="-_-"), "a string that is not the base64"),
    "cut base64": (lambda entry: entry.update(embedding="AAAAAAA="), "a string that is not the base64"),
    "base64 NaN": (lambda entry: entry.update(embedding="AADAfw==" * 1), "length 1 where 8"),
}


@pytest.mark.parametrize("name", WRONG_VECTORS)
def test_wrong_vector_of_one_text_names_it(make, server, tmp_path, name):
    edit, message = WRONG_VECTORS[name]
    store = EmbeddingStore(tmp_path)
    encoder = fitted(make, server, memory=store)
    server.cannot[BAD] = edited(BAD, edit)
    with pytest.raises(RemoteAPIError, match=rf"{message}.* The text at position 2 {SHOWN} cannot be encoded"):
        encoder.transform([*TEXTS[:2], BAD, *TEXTS[2:5]])
    assert [len(request["input"]) for request in server.requests] == [6, 1]
    server.texts.clear()
    assert_array_equal(encoder.transform(TEXTS[:5]), EXPECTED[:5])
    assert not server.texts
    assert (store.stats()["texts"], store.stats()["claims"]) == (5, 0)


def test_vector_that_is_wrong_in_a_batch_only(make, server):
    """As padding makes half precision overflow: by itself the text has a vector."""
    encoder = fitted(make, server)
    server.faults = [changed(lambda entries: entries[2].update(embedding=[math.nan] * 8))]
    assert_array_equal(encoder.transform(TEXTS[:5]), EXPECTED[:5])
    assert [len(request["input"]) for request in server.requests] == [5, 1]


def test_index_0_may_be_left_out(make, server):
    """Gemini's answers leave out fields that are 0."""
    leave_out = changed(lambda entries: [*entries[1:], {"embedding": entries[0]["embedding"]}])
    server.faults = [leave_out] * 3
    assert_array_equal(make(n_concurrent=1, max_batch_texts=64).fit_transform(TEXTS), EXPECTED)
    assert server.faults == []


def test_fields_that_are_none_are_not_sent(make, server, tmp_path):
    extra = {"user": None, "input_type": "query"}
    make(encoding_format=None, dimensions=None, extra_body=extra, memory=tmp_path).fit_transform(["a"])
    assert {tuple(sorted(request)) for request in server.requests} == {("input", "input_type", "model")}
    server.texts.clear()
    make(extra_body={"input_type": "query"}, memory=tmp_path, dimensions=None).fit_transform(["a"])
    assert server.texts["a"] == 0, "the same request has the same vectors"


WRONG = {
    "too few": (changed(lambda entries: entries[1:]), "3 embeddings for 4 texts"),
    "too many": (changed(lambda entries: [*entries, entries[0]]), "5 embeddings for 4 texts"),
    "none": (changed(lambda entries: []), "0 embeddings for 4 texts"),
    "no data": (body({"object": "list", "model": "x"}), r"no list 'data' \(but 'model', 'object'\)"),
    "data null": (body({"data": None}), "no list 'data'"),
    "empty object": (body({}), r"no list 'data' \(but nothing\)"),
    "no index": (changed(lambda entries: [e.pop("index") for e in entries] and None), "entry 1 of 'data' has no index"),
    "0 twice": (changed(lambda entries: entries[2].pop("index") and None), r"the indices \[0, 0, 1, 3\] where"),
    "index null": (changed(lambda entries: entries[0].update(index=None)), "entry 0 of 'data' has no index"),
    "most NaN": (changed(lambda entries: [e.update(embedding=[math.nan] * 8) for e in entries[1:]] and None),
                 "with NaN, infinity .*, for 3 of 4 texts. Nothing of this answer is used"),
    "index text": (changed(lambda entries: entries[1].update(index="1")), "entry 1 of 'data' has no index"),
    "index true": (changed(lambda entries: entries[1].update(index=True)), "entry 1 of 'data' has no index"),
    "index twice": (changed(lambda entries: entries[1].update(index=0)), r"the indices \[0, 0, 2, 3\] where"),
    "index beyond": (changed(lambda entries: entries[1].update(index=4)), r"the indices \[0, 2, 3, 4\] where"),
    "index negative": (changed(lambda entries: entries[3].update(index=-1)), r"the indices \[-1, 0, 1, 2\]"),
    "entry text": (changed(lambda entries: ["a"] * 4), "entry 0 of 'data' has no index"),
    "all shorter": (changed(lambda entries: [e["embedding"].pop() for e in entries] and None), "length 7 .* 4 of 4"),
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
    vectors, wrong = read_embeddings({"data": [{"index": 0, "embedding": [1, 2.5, -3]}]}, n_texts=1, n_dims=3)
    assert_array_equal(vectors, np.array([[1, 2.5, -3]], dtype=np.float32))
    assert wrong == {}


def test_dimensions_that_the_server_ignores(make, server):
    encoder = make(dimensions=5).fit(TEXTS)
    server.faults = [changed(lambda entries: [e.update(embedding=[1.0] * 8) for e in entries] and None)]
    with pytest.raises(RemoteAPIError, match=r"length 8 where 5 was expected\. The text at position 0 \(6 characters"):
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
    sent = {text: count for text, count in server.texts.items() if text != PROBE_TEXT}
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
