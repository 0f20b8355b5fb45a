"""RemoteAPI against a real server that misbehaves: retries, waits, redirects, proxies, TLS, and where the key goes."""

import gc
import pickle
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from email.utils import formatdate
from functools import partial
from http.client import HTTPConnection

import pytest
from embedding_server import KEY, body, cut, dripping, gzipped, halting, redirect, repeating, serving, slow, status

from skllmrec._remote_api import RemoteAPI, parse_base_url
from skllmrec._remote_api import _connections as connections
from skllmrec.exceptions import RemoteAPIError

pytestmark = pytest.mark.usefixtures("api_key")
BODY = {"model": "hash", "input": ["a film"]}


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def waits():
    """What was slept, in seconds."""
    return []


@pytest.fixture
def api(server, waits):
    return RemoteAPI(server.url, api_key_env="TEST_KEY", max_retries=3, timeout=5.0, sleep=waits.append)


def fails(api, match, path="embeddings", content=BODY):
    with pytest.raises(RemoteAPIError, match=match) as caught:
        api.post_json(path, content)
    assert KEY not in everything(caught.value)
    return caught.value


def everything(error):
    """All that a report of an error can show: messages, causes, local variables of every frame, a pickle."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True, compact=False)
    return "".join(report.format()) + repr(error) + repr(pickle.dumps(error))


def test_posts_json_with_the_key(api, server):
    content = {"model": "hash", "input": ["電影 🎬", "a\nb"]}
    answer = api.post_json("embeddings", content)
    assert [entry["index"] for entry in answer["data"]] == [0, 1]
    assert server.requests == [content]
    (headers,) = server.headers
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["path"] == "/v1/embeddings"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"


def test_sends_no_key_without_being_told(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    RemoteAPI(server.url).post_json("embeddings", BODY)
    assert "Authorization" not in server.headers[0]


def test_key_is_read_for_every_request(api, server, monkeypatch):
    api.post_json("embeddings", BODY)
    monkeypatch.setenv("TEST_KEY", " rotated\n")  # as a file with a line break ends up there
    api.post_json("embeddings", BODY)
    assert [headers["Authorization"] for headers in server.headers] == [f"Bearer {KEY}", "Bearer rotated"]
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(ValueError, match="'TEST_KEY', is not set here or empty"):
        api.post_json("embeddings", BODY)
    assert len(server.requests) == 2


def test_connection_is_kept(api, server):
    for _ in range(5):
        api.post_json("embeddings", BODY)
    assert len(server.connections) == 1


def test_connection_closed_meanwhile_is_replaced_at_once(api, server, waits):
    def and_hang_up(handler, request):
        handler.close_connection = True  # without saying so
        return True

    server.faults = [and_hang_up, None, status(503)]
    for _ in range(3):
        api.post_json("embeddings", BODY)
    assert len(server.requests) == 4
    assert len(waits) == 1  # for the 503 alone


@pytest.mark.parametrize(
    "fault",
    [
        status(429), status(500), status(502), status(503), status(504), status(408), status(424),
        cut(), cut(0), cut(None), cut(announced=False), gzipped(lambda packed: packed[:-9]),
    ],
    ids=["429", "500", "502", "503", "504", "408", "424", "cut", "cut-0", "reset", "cut-unannounced", "gzip-cut"],
)  # fmt: skip
def test_what_may_pass_is_tried_again(api, server, waits, fault):
    server.faults = [fault, fault]
    assert api.post_json("embeddings", BODY)["data"][0]["index"] == 0
    assert len(server.requests) == 3
    assert len(waits) == 2
    assert 0.45 <= waits[0] <= 1.5 <= 2 * waits[1] <= 6  # doubled, with jitter; a 429 is counted from its answer on


def test_gives_up_after_max_retries(api, server, waits):
    server.faults = [status(500, f"no {KEY} " + "x" * 1000)] * 9
    error = fails(
        api, rf"{server.url}/embeddings answered 500 Internal Server Error \('no \*\*\* x+\.\.\.'\) in 4 tries: look"
    )
    assert (error.status, len(error.detail)) == (500, 303)
    assert len(server.requests) == 4
    assert [lower <= wait <= 3 * lower for wait, lower in zip(waits, (0.5, 1, 2), strict=True)] == [True] * 3
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - as a worker of joblib sends it
    assert (str(again), again.status, again.detail) == (str(error), 500, error.detail)


def test_waits_are_bounded_and_vary(server):
    waits = []
    server.faults = [status(500)] * 12
    api = RemoteAPI(server.url, max_retries=12, sleep=waits.append)
    api.post_json("embeddings", BODY)
    assert max(waits) <= 120
    assert min(waits[7:]) >= 40
    assert len(set(waits[7:])) == 5


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, r"answered 400 Bad Request \('no'\): check model, parameters and texts"),
        (401, r"answered 401 Unauthorized \('no'\): check the key in the environment variable"),
        (403, r"answered 403 Forbidden \('no'\): the key may not do this"),
        (404, r"answered 404 Not Found \('no'\): check base_url .*/v1.* and the name of the model"),
        (413, r"answered 413 .* \('no'\): send less at a time"),
        (422, r"answered 422 .* \('no'\): check model"),
        (418, r"answered 418 .* \('no'\): see what the server says"),
    ],
)
def test_what_cannot_pass_is_not_tried_again(api, server, waits, code, message):
    server.faults = [status(code, "no")]
    assert fails(api, message).status == code
    assert (len(server.requests), waits) == (1, [])


def test_used_up_quota_is_not_waited_for(api, server, waits):
    server.faults = [body({"error": {"message": "pay", "code": "insufficient_quota"}})]
    fails(api, r"gave an error \('pay'\)")
    server.faults = [
        lambda handler, request: handler.send(429, {"error": {"message": "pay", "code": "insufficient_quota"}})
    ]
    fails(api, r"answered 429 .*\('pay'\): lower n_concurrent, raise max_retries, or check the quota")
    assert (len(server.requests), waits) == (2, [])


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ({"error": {"message": "a", "code": 1}}, "a"), ({"error": "b"}, "b"), ({"message": "c"}, "c"),
        ({"detail": [{"loc": ["body"]}]}, '[{"loc": ["body"]}]'), (b"<p>d\n\x1b[31m e</p>", "<p>d [31m e</p>"),
        (b"\xff\xfe", "\ufffd\ufffd"), (b"", ""), ([1], "[1]"), (b"[" * 50_000, "[" * 300 + "..."),
    ],
)  # fmt: skip
def test_message_of_the_server_is_found(api, server, content, detail):
    server.faults = [lambda handler, request: handler.send(400, content)]
    assert fails(api, "answered 400").detail == detail


def test_key_that_the_server_echoes_is_not_shown(server, monkeypatch):
    server.key = "another"
    api = RemoteAPI(server.url, api_key_env="TEST_KEY")
    assert fails(api, "Incorrect API key").detail == "Incorrect API key provided: Bearer ***"


def test_retry_after_in_seconds_holds_for_all_requests(server, waits):
    api = RemoteAPI(server.url, sleep=waits.append)
    server.faults = [status(429, Retry_After=7)]
    api.post_json("embeddings", BODY)
    api.post_json("embeddings", BODY)  # the clock stood still: not before the seven seconds are over
    assert len(waits) == 2
    assert all(6 < wait <= 7.7 for wait in waits)


def test_retry_after_as_a_date(api, server, waits):
    server.faults = [
        status(500, Retry_After=formatdate(time.time() + 30, usegmt=True)),
        status(500, Retry_After=formatdate(time.time() - 30, usegmt=True)),
        status(500, Retry_After="soon"),
    ]
    api.post_json("embeddings", BODY)
    assert 27 < waits[0] <= 33
    assert 1 <= waits[1] <= 3  # as without a header: tries are not used up at once because two clocks differ
    assert 2 <= waits[2] <= 6
    assert len(server.requests) == 4


def test_retry_after_too_long_is_not_waited_for(api, server, waits):
    server.faults = [status(429, Retry_After=3600)]
    fails(api, "answered 429 .* and asks to wait 3600 s: ")
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize("fault", [slow(1.0), dripping(1.0), halting(0.25)], ids=["slow", "dripping", "halting"])
def test_time_out_holds_for_the_whole_answer(server, waits, fault):
    server.faults = [fault] * 2
    api = RemoteAPI(server.url, timeout=0.4, max_retries=1, sleep=waits.append)
    fails(api, r"gave no full answer within 0\.4 s in 2 tries: raise timeout")
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>" + b"x" * 400, r"gave what is no JSON \('<html>x+\.\.\.'\): check that base_url"),
        (b"", r"gave what is no JSON \(''\)"),
        (b'{"data": ', "gave what is no JSON"),
        (b"[" * 100_000, "gave what is no JSON"),
        (b"\xff", "gave what is no JSON"),
        ([1, 2], "gave a JSON list where an object was expected"),
        ({"error": {"message": f"for {KEY}"}}, r"gave an error \('for \*\*\*'\): see what the server says"),
    ],
)
def test_answer_that_is_none(api, server, waits, content, message):
    server.faults = [body(content)]
    fails(api, message)
    assert (len(server.requests), waits) == (1, [])


def test_compressed_answers(api, server, waits):
    server.faults = [gzipped()]
    assert api.post_json("embeddings", BODY)["data"]
    server.faults = [gzipped(lambda packed: b"\x1f\x8b" + b"\0" * 50)]
    fails(api, "gave a damaged gzip body")
    server.faults = [body(b"{}", Content_Encoding="br")]
    fails(api, "gave an answer in the content encoding 'br', which was not asked for")
    assert waits == []


def test_answers_of_limited_size(api, server, waits, monkeypatch):
    monkeypatch.setattr(connections, "_LARGEST_BODY", 100)
    for fault in (body({"data": "x" * 200}), gzipped()):
        server.faults = [fault]
        fails(api, "gave a body of more than 100 bytes: look into the server's log")
    assert waits == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(api, server, code):
    with serving() as other:
        server.faults = [redirect(code, other.url + "/embeddings")]
        fails(api, rf"answered {code} .*redirects \(here to {other.url}/embeddings\) are not followed")
        assert other.requests == []


@pytest.mark.parametrize("drain", [True, False])
def test_early_refusal_of_a_large_request(waits, drain):
    """The server answers 413, and hangs up, while the request is still being sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                while drain and connection.recv(2**20):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        api = RemoteAPI(url, max_retries=0, sleep=waits.append)
        with pytest.raises(RemoteAPIError, match="answered 413"):
            api.post_json("embeddings", {"input": "x" * 30_000_000})
        thread.join()


def test_address_where_nobody_listens_fails_at_once(waits):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    api = RemoteAPI(f"http://127.0.0.1:{port}/v1", sleep=waits.append)
    fails(api, r"cannot be reached \(.*refused.*\): check that the server runs and that base_url is its address")
    assert waits == []


def test_server_that_is_started_anew_is_waited_for(waits):
    with serving() as server:
        api = RemoteAPI(server.url, max_retries=2, sleep=waits.append)
        api.post_json("embeddings", BODY)
    fails(api, "cannot be reached .* in 3 tries")
    assert len(waits) == 2


def test_host_that_does_not_exist(waits):
    fails(RemoteAPI("http://nobody.invalid/v1", sleep=waits.append), r"http://nobody.invalid/v1/embeddings cannot be")


def test_what_is_no_http(waits):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        api = RemoteAPI(f"http://127.0.0.1:{listener.getsockname()[1]}", sleep=waits.append)
        fails(api, r"gave no valid HTTP \(BadStatusLine\): check base_url")
        thread.join()


def test_map_runs_a_few_at_a_time_and_keeps_the_order(server):
    api, meeting = RemoteAPI(server.url, n_concurrent=3), threading.Barrier(3)

    def ask(number):
        return api.post_json("embeddings", {"model": "hash", "input": ["x"], "number": number})["model"], number

    server.faults = [lambda handler, request: meeting.wait(60) >= 0] * 9  # goes on when three requests are there
    assert api.map(ask, list(range(12))) == [("hash", number) for number in range(12)]
    assert server.most_active == 3
    assert len(server.connections) == 3
    assert api.map(ask, []) == []
    assert api.map(ask, [5]) == [("hash", 5)]


def test_error_in_map_ends_all_requests(server):
    server.faults = [slow(30)] * 3 + [status(400, "bad")]
    api = RemoteAPI(server.url, n_concurrent=4)
    with pytest.raises(RemoteAPIError, match="answered 400"):
        api.map(lambda item: api.post_json("embeddings", BODY), list(range(100)))
    fails(api, "were stopped")
    assert len(server.requests) == 4  # it did not wait for the slow ones, nor ask for the rest


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of threads are POSIX")
@pytest.mark.parametrize("n_items", [1, 8])
@pytest.mark.parametrize("fault", [slow(60), status(503, Retry_After=100)], ids=["in a request", "in a wait"])
def test_interruption_ends_all_at_once(server, fault, n_items, request):
    """Ctrl-C while requests are under way or waiting: the test would last a minute otherwise."""
    server.faults = [fault] * n_items
    api = RemoteAPI(server.url, api_key_env="TEST_KEY", n_concurrent=2)
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where pytest runs in the background it is ignored

    def interrupt():
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        api.map(lambda item: api.post_json("embeddings", BODY), list(range(n_items)))
    thread.join()
    assert KEY not in everything(caught.value)
    for worker in threading.enumerate():
        if worker.name.startswith("RemoteAPI"):
            worker.join(10)
            assert not worker.is_alive()
    assert len(server.requests) <= 2


def test_debug_output_of_other_programs_does_not_show_the_key(api, monkeypatch, capsys):
    monkeypatch.setattr(HTTPConnection, "debuglevel", 1)
    api.post_json("embeddings", BODY)
    assert KEY not in capsys.readouterr().out


def test_error_while_sending_does_not_hold_the_key():
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes connections, reads nothing
        api = RemoteAPI(f"http://127.0.0.1:{listener.getsockname()[1]}", api_key_env="TEST_KEY", timeout=0.1)
        with pytest.raises(TimeoutError) as caught:
            api._connections.post("/embeddings", b"x" * 50_000_000)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "_send"
    assert KEY not in everything(caught.value)


def test_key_is_not_on_the_object(api):
    api.post_json("embeddings", BODY)
    assert KEY not in repr(api)
    seen, left = set(), [api]
    while left:
        value = left.pop()
        assert KEY not in repr(value)
        if id(value) not in seen:
            seen.add(id(value))
            left.extend(getattr(value, "__dict__", {}).values())
            left.extend(value if isinstance(value, list | set | tuple) else [])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "api_key_env= names, 'TEST_KEY', is not set here or empty"),
        ("   ", "is not set here or empty"),
        (f"{KEY}\r\nX-Other: 1", "holds spaces, line breaks or characters outside of ASCII"),
        (KEY + "é", "outside of ASCII"),
    ],
)
def test_key_that_is_none(monkeypatch, value, message):
    monkeypatch.delenv("TEST_KEY")
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ValueError, match=message) as caught:
        RemoteAPI("http://127.0.0.1:1", api_key_env="TEST_KEY")
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", [KEY, "hf_abcdefghijkl", "0123456789abcdef", "a\0b", ""])
def test_key_given_in_place_of_the_name_is_not_shown(key):
    with pytest.raises(ValueError, match=r"names, \(not shown: it may be the key itself\), is not set") as caught:
        RemoteAPI("http://127.0.0.1:1", api_key_env=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("url", ["http://models.example.com/v1", "http://10.0.0.5:8000/v1", "http://vllm:8000/v1"])
def test_key_is_never_sent_in_the_clear(url):
    with pytest.raises(ValueError, match=r"would send the key without encryption: use https://, or a tunnel"):
        RemoteAPI(url, api_key_env="TEST_KEY")
    RemoteAPI(url)
    RemoteAPI(url.replace("http:", "https:"), api_key_env="TEST_KEY")


@pytest.mark.parametrize(
    ("given", "expected", "is_loopback"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1", True),
        (" http://LocalHost:80/v1// ", "http://localhost/v1", True),
        ("http://a.localhost", "http://a.localhost", True),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", True),
        ("https://Example.com:443", "https://example.com", False),
        ("https://127.0.0.1.example.com/a/b", "https://127.0.0.1.example.com/a/b", False),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1", False),
    ],
)
def test_addresses(given, expected, is_loopback):
    address = parse_base_url(given)
    assert (address.url, address.is_loopback) == (expected, is_loopback)
    assert parse_base_url(address.url) == address


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8000/v1", "is no address of a server: write it like"),
        ("ftp://example.com", "is no address"), ("http://", "is no address"), ("", "is no address"),
        ("http://a b.example/v1", "has no valid host or port"), ("http://example.com/a b", "is no address"),
        ("http://example.com:99999", "has no valid host or port"), ("http://[::1", "has no valid host or port"),
        (f"https://user:{KEY}@example.com/v1", r"base_url='https://\.\.\.@example.com/v1' holds more than scheme"),
        (f"https://{KEY}@example.com/v1", "holds more than scheme"),
        (f"https://example.com/v1?api-key={KEY}", "base_url='https://example.com/v1' holds more than"),
        (f"user:{KEY}@example.com/v1", r"base_url='\.\.\.@example.com/v1' is no address"),
        (f"https://example.com/v1?api-key={KEY}#x", "holds more than"),
    ],
)  # fmt: skip
def test_what_is_no_address(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        RemoteAPI(url)
    assert KEY not in str(caught.value)


def test_what_cannot_be_json(api, server):
    for content in ({"x": float("nan")}, {"x": "\ud800"}):
        with pytest.raises(ValueError):
            api.post_json("embeddings", content)
    assert server.requests == []


def test_proxy_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{server.server_port}")
    RemoteAPI("http://models.invalid/v1").post_json("embeddings", BODY)
    (headers,) = server.headers
    assert headers["path"] == "http://models.invalid/v1/embeddings"
    assert headers["Host"] == "models.invalid"
    assert headers["Proxy-Authorization"] == "Basic dXNlcjpwQHNz"
    monkeypatch.setenv("no_proxy", "models.invalid")
    fails(RemoteAPI("http://models.invalid/v1"), "cannot be reached")
    assert len(server.requests) == 1


def test_no_proxy_on_the_way_to_this_computer(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for host in ("127.0.0.1", "localhost"):
        RemoteAPI(f"http://{host}:{server.server_port}/v1").post_json("embeddings", BODY)
    assert len(server.requests) == 2


def test_proxy_sees_neither_key_nor_texts(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = []

        def refuse():
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(10_000))
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        api = RemoteAPI("https://models.invalid/v1", api_key_env="TEST_KEY")
        fails(api, r"cannot be reached \(Tunnel connection failed: 407")
        thread.join()
    assert seen[0].startswith(b"CONNECT models.invalid:443 ")
    assert KEY.encode() not in seen[0]


def test_proxy_of_another_kind(monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://user:secret@127.0.0.1:9")
    with pytest.raises(ValueError, match=r"does not begin with http:// \(socks5://\.\.\.\)") as caught:
        RemoteAPI("https://models.invalid/v1")
    assert "secret" not in str(caught.value)


@pytest.fixture
def tls_server(server, tmp_path):
    """The server behind TLS, with a certificate for localhost that nobody has signed; and the certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the program openssl to make a certificate")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "certificate.pem"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server, tmp_path / "certificate.pem"


def test_https_is_verified(tls_server, monkeypatch, waits):
    server, certificate = tls_server
    api = RemoteAPI(f"https://localhost:{server.server_port}/v1", api_key_env="TEST_KEY", sleep=waits.append)
    fails(api, r"has a certificate that cannot be verified \(self.signed certificate\): let .*SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = f"https://localhost:{server.server_port}/v1"
    assert RemoteAPI(url, api_key_env="TEST_KEY").post_json("embeddings", BODY)["data"]
    fails(RemoteAPI(url.replace("localhost", "127.0.0.1")), "certificate is not valid for '127.0.0.1'")
    assert len(server.requests) == 1
    assert waits == []


def test_unfinished_connections_leave_no_warning(server):
    api = RemoteAPI(server.url)
    api.post_json("embeddings", BODY)
    del api
    gc.collect()  # an open socket that is dropped warns, and warnings are errors here


OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "header": (OK + b"X-Header: ", b"a"),
    "length of a chunk": (CHUNKED, b"0"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    "1xx": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", DRIPS)
def test_timeout_holds_wherever_a_server_drips(server, name):
    server.faults.append(repeating(*DRIPS[name], seconds=1.5))
    start = time.monotonic()
    fails(RemoteAPI(server.url, timeout=0.3, max_retries=0), "gave no full answer within 0.3 s")
    assert time.monotonic() - start < 1.2


@contextmanager
def connection_that_drips(greeting, piece):
    """A server that reads, sends raw bytes, then a piece again and again until its client hangs up, which it notes."""
    hang_ups = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(greeting)
                for _ in range(500):  # far longer than the timeout of the client
                    if select.select([connection], [], [], 0.02)[0] and not connection.recv(10_000):
                        hang_ups.append(True)
                        return
                    connection.sendall(piece)

        def serve():
            with suppress(ConnectionError):
                drip()
                return
            hang_ups.append(True)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], hang_ups
        thread.join()


@pytest.mark.parametrize("answer", [(b"HTTP/1.1 200 ", b"O"), (OK + b"X-Header: ", b"a"), (OK, b"X: y\r\n")])
def test_timeout_holds_while_a_proxy_drips(monkeypatch, answer):
    with connection_that_drips(*answer) as (port, hang_ups):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        api = RemoteAPI("https://models.invalid/v1", timeout=0.3, max_retries=0)
        fails(api, r"cannot be reached \(no answer in time\)")
    assert hang_ups == [True]


def test_timeout_holds_while_a_handshake_drips():
    record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"  # a message of the handshake of 16 KiB begins
    with connection_that_drips(record, b"\0") as (port, hang_ups):
        fails(RemoteAPI(f"https://127.0.0.1:{port}/v1", timeout=0.3, max_retries=0), "cannot be reached .no answer in")
    assert hang_ups == [True]


def test_proxy_that_speaks_no_http(monkeypatch):
    with connection_that_drips(b"220 mail.example.com ESMTP\r\n", b"x") as (port, _):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        fails(RemoteAPI("https://models.invalid/v1", max_retries=0), r"cannot be reached \(220 mail")


def test_stop_cuts_connections_that_are_being_made():
    record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"
    with connection_that_drips(record, b"\0") as (port, hang_ups):
        api = RemoteAPI(f"https://127.0.0.1:{port}/v1", max_retries=0)
        thread = threading.Thread(target=lambda: fails(api, "were stopped"))
        thread.start()
        while not any(connection.sock for connection in list(api._connections._connecting)):
            time.sleep(0.01)
        api.stop()
        thread.join(10)
        assert not thread.is_alive()
    assert hang_ups == [True]
