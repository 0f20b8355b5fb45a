"""LLMProfileWriter: a local model, a server that misbehaves, the cache, the budget, plain text, bad input."""

import os
import pickle
import shutil
import signal
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from chat_server import chat_answer, chatting
from embedding_server import KEY, body, cut, slow, status
from fresh_process import run_python
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from tiny_models import SENTENCES, change_weights

from skllmrec import EmbeddingStore, LLMProfileWriter, TextTemplate
from skllmrec.exceptions import FileVersionError, RemoteAPIError, StoreError, StoreWarning
from skllmrec.language_models.profiles import _generator
from skllmrec.language_models.profiles._profile_text import clean_profile, is_refusal

pytestmark = pytest.mark.usefixtures("api_key")


@pytest.fixture
def server():
    with chatting() as server:
        yield server


def remote(server, **options):
    return LLMProfileWriter("a-model", base_url=server.url, **{"prompt": "Tell.\n{text}", "max_retries": 0, **options})


def asked(server):
    return sorted(request["messages"][0]["content"] for request in server.requests)


# -- in this process ----------------------------------------------------------------------------------------------


def expected_answers(folder, prompts, n_new):
    """Greedy answers, token by token, from transformers' own forward pass."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    answers = []
    for prompt in prompts:
        tokens = tokenizer(prompt)["input_ids"]
        written = []
        with torch.inference_mode():
            while len(written) < n_new and tokenizer.eos_token_id not in written:
                written.append(model(torch.tensor([tokens + written])).logits[0, -1].argmax().item())
        answers.append(tokenizer.decode([token for token in written if token != tokenizer.eos_token_id]))
    return answers


@pytest.mark.parametrize("batch_size", [1, 3])
def test_greedy_answers_are_those_of_transformers(tiny_llama, batch_size):
    writer = LLMProfileWriter(tiny_llama, prompt="On {text}", max_new_tokens=12, batch_size=batch_size, device="cpu")
    got = writer.fit_transform(SENTENCES)
    raw = expected_answers(tiny_llama, [f"On {text}" for text in SENTENCES], 12)
    expected = [clean_profile(answer, is_cut=True) or text for answer, text in zip(raw, SENTENCES, strict=True)]
    assert got.tolist() == expected and got.dtype == object
    assert writer.n_written_ == len(SENTENCES)
    assert writer.n_generated_tokens_ <= 12 * len(SENTENCES) < writer.n_prompt_tokens_ * 2


def test_sampling_depends_on_seed_and_text_alone(tiny_llama):
    def write(texts, seed=0):
        writer = LLMProfileWriter(tiny_llama, temperature=1.0, max_new_tokens=8, random_state=seed, device="cpu")
        return writer.fit_transform(texts).tolist()

    whole = write(SENTENCES)
    assert whole[::-1] == write(SENTENCES[::-1]) and whole[3:4] == write(SENTENCES[3:4])
    assert whole != write(SENTENCES, seed=1)
    assert len(set(whole)) == len(SENTENCES)


def test_sampling_leaves_the_random_numbers_of_others_alone(tiny_llama):
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    LLMProfileWriter(tiny_llama, temperature=1.0, max_new_tokens=2, device="cpu").fit_transform(SENTENCES[:1])
    assert torch.rand(1) == expected


def test_chat_template_is_used(tiny_llama, tmp_path):
    from transformers import AutoTokenizer

    folder = shutil.copytree(tiny_llama, tmp_path / "chat")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %} [assistant]{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    options = {"max_new_tokens": 8, "device": "cpu"}
    chat = LLMProfileWriter(folder, prompt="On {text}", **options).fit_transform(SENTENCES)
    plain = LLMProfileWriter(tiny_llama, prompt="[user] On {text} [assistant]", **options).fit_transform(SENTENCES)
    assert chat.tolist() == plain.tolist()


def test_long_texts_are_cut(tiny_llama):
    options = {"max_new_tokens": 4, "max_chars": 20, "device": "cpu"}
    writer = LLMProfileWriter(tiny_llama, prompt="{text}", **options)
    cut, same = writer.fit_transform([SENTENCES[0], SENTENCES[0][:20]])
    assert (cut == same) or {cut, same} == {SENTENCES[0], SENTENCES[0][:20]}


@pytest.mark.parametrize("file", ["chat_template.jinja", "generation_config.json"])
def test_files_that_change_answers_are_part_of_the_checksum(tiny_llama, tmp_path, file):
    folder = shutil.copytree(tiny_llama, tmp_path / "model")
    before = LLMProfileWriter(folder, device="cpu").fit(SENTENCES).weights_sha256_
    (folder / file).write_text('{"eos_token_id": 3}')
    assert LLMProfileWriter(folder, device="cpu").fit(SENTENCES).weights_sha256_ != before


def test_changed_weights_are_refused(tiny_llama, tmp_path):
    folder = shutil.copytree(tiny_llama, tmp_path / "model")
    writer = LLMProfileWriter(folder, max_new_tokens=2, device="cpu").fit(SENTENCES)
    change_weights(Path(folder))
    with pytest.raises(ValueError, match="have changed since fit"):
        writer.transform(SENTENCES)


def test_model_that_writes_nothing(tiny_bert):
    with pytest.raises(ValueError, match="type 'bert', which does not write texts"):
        LLMProfileWriter(tiny_bert).fit(SENTENCES)


# -- a server -----------------------------------------------------------------------------------------------------


def test_requests(server):
    writer = remote(server, temperature=0.5, random_state=7, max_new_tokens=20)
    assert writer.fit_transform(["Heat", "Alien", "Heat"]).tolist() == ["About HEAT", "About ALIEN", "About HEAT"]
    assert asked(server) == ["Tell.\nAlien", "Tell.\nHeat"]
    settings = {"model": "a-model", "max_tokens": 20, "temperature": 0.5, "seed": 7}
    assert all(settings.items() <= request.items() for request in server.requests)
    counts = writer.n_written_, writer.n_prompt_tokens_, writer.n_generated_tokens_, writer.n_fallbacks_
    assert counts == (2, 20, 6, 0)


def test_blank_texts_are_not_sent(server):
    assert remote(server).fit_transform(["", "  ", "Heat"]).tolist() == ["", "  ", "About HEAT"]
    assert len(server.requests) == 1


def test_braces_in_prompt_and_text_are_plain(server):
    remote(server, prompt='{"item": "{text}"} {0}').fit_transform(["{title} {text}"])
    assert asked(server) == ['{"item": "{title} {text}"} {0}']


def test_keep_text(server):
    assert remote(server, keep_text=True).fit_transform(["Heat"]).tolist() == ["Heat About HEAT"]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "  \n",
        "I'm sorry, but I can't help with that.",
        "<think>What now?</think>",
        None,
        {"refusal": "no"},
        "...",
        "Sure! I'm sorry, I can't help with that.",
        "Profile: I cannot write this.",
        "As a large language model, I cannot watch films.",
    ],
)
def test_fallback(server, reply):
    server.reply = lambda prompt: reply if "Heat" in prompt else "A film about fear."
    writer = remote(server)
    assert writer.fit_transform(["Heat", "Alien"]).tolist() == ["Heat", "A film about fear."]
    assert writer.n_fallbacks_ == 1 and writer.n_written_ == 2


@pytest.mark.parametrize("profile", ["As a large family falls apart, a son returns.", "As an artificial planet dies."])
def test_profiles_that_begin_like_a_refusal_are_kept(profile):
    assert clean_profile(profile) == profile


def test_filtered_and_cut_answers(server):
    server.faults += [body(chat_answer("A film", finish_reason="content_filter"))]
    assert remote(server).fit_transform(["Heat"]).tolist() == ["Heat"]
    server.faults += [body(chat_answer("A film. It is", finish_reason="length"))]
    assert remote(server).fit_transform(["Heat"]).tolist() == ["A film."]
    server.faults += [body(chat_answer({"content": [{"type": "text", "text": "A "}, {"text": "film."}]}))]
    assert remote(server).fit_transform(["Heat"]).tolist() == ["A film."]


def test_server_recovers(server):
    server.faults += [status(503), cut(after=None)]
    writer = remote(server, max_retries=4, n_concurrent=1)
    assert writer.fit_transform(["Heat"]).tolist() == ["About HEAT"]
    assert writer.n_written_ == 1


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (body({}), "no list 'choices'"),
        (body({"choices": []}), "no list 'choices'"),
        (body({"choices": [{"text": "old"}]}), "has no message"),
        (body({"choices": [{"message": {"content": 3}}]}), "is int"),
        (body(b"<html>"), "what is no JSON"),
        (status(404), "base_url"),
        (status(500), "answered 500"),
        (slow(2.0), "no full answer within"),
    ],
)
def test_server_fails(server, fault, match):
    server.faults.append(fault)
    with pytest.raises(RemoteAPIError, match=match):
        remote(server, timeout=0.5).fit_transform(["Heat"])


def refusing(code, *refused, message="no"):
    """A fault that refuses requests with some words, and lets others be answered."""

    def fault(handler, request):
        prompt = request["messages"][0]["content"]
        if any(word in prompt for word in refused):
            handler.refuse(code, message)
            return False
        return True

    return fault


def test_extra_body_adds_replaces_and_leaves_out_fields(server):
    extra = {"max_tokens": None, "temperature": None, "max_completion_tokens": 300, "seed": 5, "options": {"top_k": 1}}
    writer = remote(server, extra_body=extra)
    assert writer.fit_transform(["Heat"]).tolist() == ["About HEAT"]
    (request,) = server.requests
    assert request == {
        "model": "a-model",
        "max_completion_tokens": 300,
        "seed": 5,
        "options": {"top_k": 1},
        "messages": [{"role": "user", "content": "Tell.\nHeat"}],
    }
    assert extra["max_tokens"] is None and clone(writer).extra_body == extra


def test_extra_body_is_a_part_of_the_key_of_an_answer(server, tmp_path):
    def n_requests(**options):
        n_before = len(server.requests)
        remote(server, memory=tmp_path, **options).fit_transform(["Heat"])
        return len(server.requests) - n_before

    assert [
        n_requests(),
        n_requests(extra_body={}),
        n_requests(extra_body={"a": 1}),
        n_requests(extra_body={"a": 2}),
    ] == [
        1,
        0,
        1,
        1,
    ]
    hot = {"temperature": 1.0}
    assert [n_requests(extra_body=hot), n_requests(extra_body=hot, random_state=1)] == [1, 1], "the seed is sent"


@pytest.mark.parametrize("code", [400, 413, 422])
def test_refused_text_is_named_and_does_not_end_the_call(server, tmp_path, code):
    texts = ["Up", "Heat " * 30, "Alien", "Her"]
    server.faults += [refusing(code, "Heat", message="context of 9 tokens exceeded")] * 4
    writer = remote(server, memory=tmp_path, keep_text=True, n_concurrent=1).fit(texts)
    with pytest.warns(UserWarning, match="refused 1 text") as warned:
        got = writer.transform(texts)
    assert got.tolist() == ["Up About UP", "Heat " * 30, "Alien About ALIEN", "Her About HER"]
    message = str(warned[0].message)
    assert "'" + ("Heat " * 30)[:60] + "...'" in message and f"({code}: context of 9 tokens exceeded)" in message
    assert warned[0].filename == __file__
    assert (writer.n_written_, writer.n_fallbacks_, writer.n_refused_) == (3, 1, 1)
    server.faults.append(refusing(code, "Heat"))
    with pytest.warns(UserWarning, match="refused 1 text"):  # it is not stored, and known to be the fault of the text
        assert writer.transform(texts[1:2]).tolist() == texts[1:2]
    assert len(server.requests) == 5 and writer.n_refused_ == 2


@pytest.mark.parametrize(
    "message",
    [
        "input is too large to process. increase the physical batch size",
        "failed to encode response: json: unsupported value: NaN",
    ],
)
def test_server_error_that_is_about_a_text_does_not_end_the_call(server, message):
    """As llama.cpp and Ollama answer; repetitions would be in vain."""
    server.faults += [refusing(500, "Heat", message=message)] * 3
    writer = remote(server, n_concurrent=1).fit(["Up"])
    with pytest.warns(UserWarning, match=rf"refused 1 text.*'Heat' \(500: {message}\)"):
        assert writer.transform(["Up", "Heat", "Her"]).tolist() == ["About UP", "Heat", "About HER"]
    assert len(server.requests) == 3


def test_budget_that_is_used_up_ends_the_call(server, tmp_path):
    """A proxy refuses with 400: no text is the reason, and what was written before is kept."""
    message = "Budget has been exceeded! Current cost: 26.1, Max budget: 25"
    server.faults += [None, None, *[status(400, message)] * 99]
    writer = remote(server, memory=tmp_path, n_concurrent=1).fit(["Up"])
    with pytest.raises(RemoteAPIError, match="check budget, quota and rate limits of the account"):
        writer.transform([f"film {number}" for number in range(50)])
    assert len(server.requests) == 4, "one group"
    assert (writer.n_written_, writer.n_refused_) == (2, 0)
    server.faults.clear()
    assert writer.transform(["film 0", "film 1"]).tolist() == ["About FILM 0", "About FILM 1"]
    assert len(server.requests) == 4


def test_warning_names_a_few_refused_texts(server):
    texts = ["Up", *(f"bad {number}" for number in range(5))]
    server.faults += [refusing(400, "bad")] * len(texts)
    writer = remote(server, n_concurrent=1).fit(texts)
    with pytest.warns(UserWarning, match=r"refused 5 text.*'bad 0' \(400: no\).*'bad 2' \(400: no\) and 2 more"):
        assert writer.transform(texts).tolist() == ["About UP", *texts[1:]]


def test_refusal_of_all_first_requests_is_an_error_that_names_extra_body(server):
    server.faults += [status(400, "Unsupported parameter: 'max_tokens'")] * 99
    writer = remote(server, n_concurrent=2).fit(["Heat"])
    with pytest.raises(RemoteAPIError, match=r"Unsupported parameter: 'max_tokens'.*extra_body=") as caught:
        writer.transform([f"film {number}" for number in range(90)])
    assert caught.value.status == 400 and len(server.requests) == 8, "no more than one group was sent"
    assert writer.n_written_ == writer.n_refused_ == 0


def test_reasoning_that_uses_up_the_tokens_is_counted_and_warned_of(server, tmp_path):
    server.faults += [
        body(chat_answer({"content": "", "reasoning_content": "They want"}, finish_reason="length")),
        body(chat_answer({"content": None, "reasoning": "They want"}, finish_reason="length")),
        body(chat_answer("<think>They want a", finish_reason="length")),
        body(chat_answer("<|channel|>analysis<|message|>They want", finish_reason="length")),
    ]
    texts = ["Heat", "Alien", "Up", "Her", "Jaws"]
    writer = remote(server, memory=tmp_path, n_concurrent=1, max_new_tokens=7).fit(texts)
    with pytest.warns(UserWarning, match=r"4 of 5 answers reached max_new_tokens=7 .*reasoning.*extra_body"):
        assert writer.transform(texts).tolist() == ["Heat", "Alien", "Up", "Her", "About JAWS"]
    assert (writer.n_written_, writer.n_fallbacks_, writer.n_unfinished_thoughts_) == (5, 4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert writer.transform(["Jaws"]).tolist() == ["About JAWS"]


def test_thought_that_the_chat_template_begins_is_removed(tiny_llama, tmp_path):
    from transformers import AutoTokenizer

    folder = shutil.copytree(tiny_llama, tmp_path / "thinking")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{{ messages[0]['content'] }} <think>"
    tokenizer.save_pretrained(folder)
    writer = LLMProfileWriter(folder, prompt="{text}", max_new_tokens=4, device="cpu").fit(SENTENCES)
    with pytest.warns(UserWarning, match="within the reasoning"):
        assert writer.transform(SENTENCES).tolist() == SENTENCES


def test_key_is_sent_and_kept_nowhere(tmp_path):
    with chatting(key=KEY) as server:
        writer = remote(server, api_key_env="TEST_KEY", memory=tmp_path).fit(["Heat"])
        assert writer.transform(["Heat"]).tolist() == ["About HEAT"]
        assert KEY.encode() not in pickle.dumps(writer)
        assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir())
        with pytest.raises(RemoteAPIError, match="401"):
            remote(server).fit_transform(["Heat"])


# -- the cache ----------------------------------------------------------------------------------------------------


def test_answers_are_kept(server, tmp_path):
    first = remote(server, memory=tmp_path)
    assert first.fit_transform(["Heat", "Alien"]).tolist() == ["About HEAT", "About ALIEN"]
    again = remote(server, memory=EmbeddingStore(tmp_path), keep_text=True)
    assert again.fit_transform(["Alien", "Up", "Heat"]).tolist() == [
        "Alien About ALIEN",
        "Up About UP",
        "Heat About HEAT",
    ]
    assert len(server.requests) == 3 and again.n_written_ == 1 and again.n_prompt_tokens_ == 10


@pytest.mark.parametrize(
    "change",
    [{"prompt": "Say.\n{text}"}, {"max_new_tokens": 5}, {"model": Path("b")}, {"temperature": 0.1}, {"max_chars": 9}],
)
def test_what_changes_an_answer_is_asked_anew(server, tmp_path, change):
    remote(server, memory=tmp_path).fit_transform(["Heat"])
    remote(server, memory=tmp_path, random_state=3).fit_transform(["Heat"])
    assert len(server.requests) == 1, "without sampling, a seed changes nothing"
    remote(server, memory=tmp_path).set_params(**change).fit_transform(["Heat"])
    assert len(server.requests) == 2


def test_sampled_answers_are_kept_by_temperature_and_seed(server, tmp_path):
    for temperature, random_state in [(0.5, 0), (0.7, 0), (0.7, 1), (0.5, 0)]:
        writer = remote(server, memory=tmp_path, temperature=temperature, random_state=random_state)
        writer.fit_transform(["Heat"])
    assert len(server.requests) == 3 and writer.n_written_ == 0


def test_local_answers_are_kept(tiny_llama, tmp_path, monkeypatch):
    options = {"max_new_tokens": 4, "memory": tmp_path, "device": "cpu"}
    first = LLMProfileWriter(tiny_llama, **options).fit_transform(SENTENCES)
    monkeypatch.setattr(_generator.Generator, "__call__", None)
    assert LLMProfileWriter(tiny_llama, **options).fit_transform(SENTENCES[::-1]).tolist() == first[::-1].tolist()


def test_what_was_written_before_a_failure_is_kept(server, tmp_path):
    server.faults += [lambda handler, request: True] * 4 + [status(401)]
    writer = remote(server, memory=tmp_path, n_concurrent=1)
    with pytest.raises(RemoteAPIError):
        writer.fit_transform([f"film {number}" for number in range(8)])
    n_before = len(server.requests)
    assert remote(server, memory=tmp_path).fit_transform([f"film {number}" for number in range(8)])[7] == "About FILM 7"
    assert len(server.requests) - n_before == 4


KILLED = """
import os, signal, sys
from skllmrec import LLMProfileWriter
from skllmrec.language_models.profiles import _text_cache

write, n_calls = _text_cache.TextCache.write, iter(range(99))

def killing(self, values):
    write(self, values)
    if next(n_calls) == 1:
        os.kill(os.getpid(), signal.SIGKILL)

_text_cache.TextCache.write = killing
writer = LLMProfileWriter("a-model", base_url=sys.argv[1], n_concurrent=1, memory=sys.argv[2], prompt="Tell.\\n{text}")
writer.fit_transform([f"film {number}" for number in range(20)])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is a thing of POSIX")
def test_kill_loses_nothing_that_was_written(server, tmp_path):
    run_python(KILLED, server.url, tmp_path, status=-signal.SIGKILL)
    assert len(server.requests) == 8
    remote(server, memory=tmp_path).fit_transform([f"film {number}" for number in range(20)])
    assert len(server.requests) == 20


def test_damaged_cache(server, tmp_path):
    remote(server, memory=tmp_path).fit_transform(["Heat"])
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"no database" * 1000)
    with pytest.warns(StoreWarning, match="is damaged"):
        assert remote(server, memory=tmp_path).fit_transform(["Heat"]).tolist() == ["About HEAT"]
    assert len(server.requests) == 2
    assert remote(server, memory=tmp_path).fit_transform(["Heat"]).tolist() == ["About HEAT"]
    assert len(server.requests) == 2


def test_changed_answer_is_asked_anew(server, tmp_path):
    remote(server, memory=tmp_path).fit_transform(["Heat"])
    (file,) = tmp_path.glob("*.sqlite")
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE texts SET value = replace(value, 'HEAT', 'COLD')")
    connection.close()
    assert remote(server, memory=tmp_path).fit_transform(["Heat"]).tolist() == ["About HEAT"]


def test_other_database_is_left_alone(server, tmp_path):
    connection = sqlite3.connect(tmp_path / "profiles.sqlite")
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        remote(server, memory=tmp_path).fit_transform(["Heat"])


def test_format_of_the_file_is_checked(server, tmp_path):
    remote(server, memory=tmp_path).fit_transform(["Heat"])
    file = tmp_path / "profiles.sqlite"
    for version in (0, 1):  # files of format 1 may name none
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        assert remote(server, memory=tmp_path).fit_transform(["Heat"]).tolist() == ["About HEAT"]
    assert len(server.requests) == 1
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(FileVersionError, match=r"profiles.sqlite was saved by a newer skllmrec in profiles format 7"):
        remote(server, memory=tmp_path).fit_transform(["Heat"])
    assert len(server.requests) == 1


def test_cache_that_can_only_be_read(server, tmp_path, monkeypatch):
    remote(server, memory=tmp_path).fit_transform(["Heat"])
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    readonly = remote(server, memory=EmbeddingStore(tmp_path, readonly=True))
    assert readonly.fit_transform(["Heat", "Alien"]).tolist() == ["About HEAT", "About ALIEN"]
    assert len(server.requests) == 2
    monkeypatch.setattr(os, "access", lambda path, mode, **options: False)
    assert remote(server, memory=tmp_path).fit_transform(["Heat"]).tolist() == ["About HEAT"]
    with pytest.raises(StoreError, match=r"can only be read \(no permission to write .*readonly=True"):
        remote(server, memory=tmp_path).fit_transform(["Heat", "Alien"])
    assert len(server.requests) == 2
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before
    (tmp_path / "profiles.sqlite").unlink()
    with pytest.raises(StoreError, match="no texts to read"):
        remote(server, memory=EmbeddingStore(tmp_path, readonly=True)).fit_transform(["Heat"])


# -- the budget ---------------------------------------------------------------------------------------------------


def test_budget(server, tmp_path):
    writer = remote(server, max_texts=3, memory=tmp_path, n_concurrent=1).fit(["Heat"])
    assert writer.transform(["a", "b"]).tolist() == ["About A", "About B"]
    with pytest.warns(UserWarning, match=r"2 of 3 new texts stay as they are: max_texts=3"):
        got = writer.transform(["c", "d", "a", "e", "d"])
    assert got.tolist() == ["About C", "d", "About A", "e", "d"]
    assert writer.n_written_ == len(server.requests) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert writer.transform(["a", "b", "c"]).tolist() == ["About A", "About B", "About C"]
    with pytest.warns(UserWarning, match="max_texts=0"):
        assert remote(server, max_texts=0).fit_transform(["z"]).tolist() == ["z"]
    assert len(server.requests) == 3


# -- as an estimator ----------------------------------------------------------------------------------------------


def test_before_an_encoder_and_with_any_output_container(server):
    import pandas as pd

    films = pd.DataFrame({"title": ["Heat", "Alien"], "genres": ["Crime", None]})
    pipeline = clone(make_pipeline(TextTemplate("{title}. {genres}"), remote(server), TfidfVectorizer()))
    with config_context(transform_output="pandas"):
        written = pipeline[:2].fit_transform(films)
    assert isinstance(written, np.ndarray) and written.tolist() == ["About HEAT. CRIME", "About ALIEN"]
    assert pipeline.fit_transform(films).shape == (2, 4)
    assert pipeline[:2].set_output(transform="pandas").transform(films).tolist() == written.tolist()


def test_pickle(server):
    writer = remote(server).fit(["Heat"])
    assert pickle.loads(pickle.dumps(writer)).transform(["Up"]).tolist() == ["About UP"]  # noqa: S301


@pytest.mark.parametrize(
    ("options", "X", "match"),
    [
        ({"prompt": "Describe it."}, ["Heat"], r"has no \{text\}"),
        ({"model": "no such folder"}, ["Heat"], "was not found"),
        ({"base_url": "nonsense"}, ["Heat"], "base_url"),
        ({"base_url": "http://127.0.0.1:9/v1", "api_key_env": "NO_SUCH_KEY"}, ["Heat"], "NO_SUCH_KEY"),
        ({"base_url": "http://example.org/v1", "api_key_env": "TEST_KEY"}, ["Heat"], "key"),
        ({"temperature": -1}, ["Heat"], "temperature"),
        ({"extra_body": {"a": 1}}, ["Heat"], "without base_url no request is sent"),
        ({"base_url": "http://127.0.0.1:9/v1", "extra_body": {"stream": True}}, ["Heat"], "has the field 'stream'"),
        ({"base_url": "http://127.0.0.1:9/v1", "extra_body": {"a": {1}}}, ["Heat"], "cannot be written as JSON"),
        ({"base_url": "http://127.0.0.1:9/v1", "extra_body": [1]}, ["Heat"], "extra_body"),
        ({}, ["Heat", None], "position 1, is None"),
        ({}, [], "Found no texts"),
    ],
)
def test_bad_input(options, X, match):
    with pytest.raises(ValueError, match=match) as caught:
        LLMProfileWriter(**{"model": "a-model", **options}).fit(X)
    assert KEY not in str(caught.value)


# -- plain text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("A film.", "A film."),
        ("# Heat\n\n## What it is\nA *tense* film.", "Heat What it is A tense film."),
        ("Sure! Here's a short profile of the item:\n\n**Heat** is __dark__.", "Heat is dark."),
        ("Certainly, here is the profile: dark and slow.", "dark and slow."),
        ("Here are three sentences:\n1. Dark.\n2) Slow.\n- Long.\n* Loud.", "Dark. Slow. Long. Loud."),
        ("Profile: a film.", "a film."),
        ("This is a film about: fear and love", "This is a film about: fear and love"),
        ("This is a film.", "This is a film."),
        ("Sure to please, a comedy for all.", "Sure to please, a comedy for all."),
        ('"A film about fear."', "A film about fear."),
        ('"Heat" and "Alien".', '"Heat" and "Alien".'),
        ("```text\nA film.\n```", "A film."),
        ("<p>A <b>film</b> &amp; more</p><|im_end|>", "A film & more"),
        ("<think>They want\n\na profile</think>A film.", "A film."),
        ("<think>endless", ""),
        ("They want a profile.\nSo be it.</think>\n\nA film.", "A film."),
        ("<think>One.</think>Two.</think>A film.", "A film."),
        ("They want a profile.</think>", ""),
        ("[THINK]They want[/THINK]A film.", "A film."),
        ("They want</reasoning>A film.", "A film."),
        (
            "<|channel|>analysis<|message|>They want <b>it</b>.<|end|><|start|>assistant"
            "<|channel|>final<|message|>A film.<|return|>",
            "A film.",
        ),
        ("<|channel|>final <|constrain|>text<|message|>A film.", "A film."),
        ("<|channel|>analysis<|message|>They want", ""),
        ("analysisThey want a profile.assistantfinalA film.", "A film."),
        ("analysisThey want", ""),
        ("analysis of a crime, in a dark film.", "analysis of a crime, in a dark film."),
        ("See [the site](http://example.org) ![poster](x.png).", "See the site poster."),
        ("| genre | mood |\n|---|---|\n| crime | dark |", "genre, mood crime, dark"),
        ("snake_case and 2 * 3 * 4 stay", "snake_case and 2 * 3 * 4 stay"),
        ("A\n\n---\n\nB film", "A B film"),
        ("I cannot help with that.", ""),
        ("Unfortunately, I have no information.", ""),
        ("As an AI language model, I have not seen it.", ""),
        ("抱歉，我无法描述。", ""),  # noqa: RUF001
        ("一部关于恐惧的电影。", "一部关于恐惧的电影。"),
        ("I have seen worse: a film for fans.", "I have seen worse: a film for fans."),
        ("A film. A dark film. A film. It ends.", "A film. A dark film. It ends."),
        ("The 1987" + " 1987" * 30, ""),
        ("It is a film of a man of a town of a time.", "It is a film of a man of a town of a time."),
        ("-", ""),
    ],
)
def test_plain_text(answer, text):
    assert clean_profile(answer) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("A film. It is a", "A film."),
        ("A film about", "A film about"),
        ("A film. It ends.", "A film. It ends."),
        ('He said "go." He we', 'He said "go."'),
        ("一部电影。它是", "一部电影。"),
    ],
)
def test_cut_answers_lose_the_half_sentence(answer, text):
    assert clean_profile(answer, is_cut=True) == text


@pytest.mark.parametrize(
    "text", ["Sorry to Bother You is a satire.", "I, Robot is a thriller.", "As an actor, he shines."]
)
def test_what_is_no_refusal(text):
    assert not is_refusal(text) and clean_profile(text) == text


def test_half_a_character_in_an_answer():
    clean_profile("A tense film \ud83d for adults.").encode()
