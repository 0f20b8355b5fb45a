"""A real HTTP server on loopback that gives embeddings, and misbehaves as it is told."""

import base64
import gzip
import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

N_DIMS = 8
KEY = "sk-secret-0123456789abcdef"  # in the environment variable TEST_KEY by the fixture `api_key`


def vector_of(text, n_dims=N_DIMS):
    """The embedding of a text: numbers from its hash, the same in every process, exact in float32."""
    digest = hashlib.shake_128(text.encode()).digest(2 * n_dims)
    return (np.frombuffer(digest, dtype="<u2").astype(np.float32) - 32768) / 4096


class EmbeddingServer(ThreadingHTTPServer):
    """Serves ``/v1/embeddings``.

    ``faults`` is a list of functions of a handler and the request; each request takes the first one off the list and
    is answered by it. A fault that returns True lets the request be answered as usual after it.
    """

    daemon_threads = True

    def __init__(self, *, key=None, largest_batch=None, refusal=(413, "payload too large"), delay=0.0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key, self.largest_batch, self.refusal, self.delay = key, largest_batch, refusal, delay
        self.cannot = {}  # a text -> a fault for each request with it
        self.faults, self.requests, self.headers, self.texts = [], [], [], Counter()
        self.connections = []
        self.n_active = self.most_active = 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""

    def finish_request(self, request, client_address):
        with self.lock:
            self.connections.append(request)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().finish_request(request, client_address)


@contextmanager
def serving(**options):
    """A server that runs in a thread for the length of a with block."""
    with EmbeddingServer(**options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            for connection in server.connections:  # threads go on to serve those that are open
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        self.is_active = True
        with server.lock:
            server.n_active += 1
            server.most_active = max(server.most_active, server.n_active)
            request = json.loads(body)
            server.requests.append(request)
            server.headers.append(dict(self.headers.items(), path=self.path))
            fault = next((server.cannot[text] for text in request.get("input", ()) if text in server.cannot), None)
            fault = fault or (server.faults.pop(0) if server.faults else None)
        try:
            if fault is None or fault(self, request):
                time.sleep(server.delay)
                self.serve(request)
        finally:
            self.end()

    def end(self):
        """Count the request as done: before the answer goes out, as the next request may follow it at once."""
        with self.server.lock:
            self.server.n_active -= self.is_active
            self.is_active = False

    def serve(self, request):
        server = self.server
        if server.key is not None and self.headers.get("Authorization") != f"Bearer {server.key}":
            return self.refuse(401, f"Incorrect API key provided: {self.headers.get('Authorization')}")
        if not self.path.endswith("/v1/embeddings"):
            return self.refuse(404, "no such path")
        texts = request["input"]
        if "" in texts:
            return self.refuse(400, "'$.input' is invalid")
        if server.largest_batch is not None and len(texts) > server.largest_batch:
            code, message = server.refusal
            return self.refuse(code, message.format(given=len(texts), limit=server.largest_batch))
        with server.lock:  # before the answer: whoever has it may count at once
            server.texts.update(texts)
        return self.answer(entries_of(request))

    def refuse(self, status, message, **headers):
        self.send(status, {"error": {"message": message, "type": "invalid_request_error"}}, **headers)

    def answer(self, entries):
        self.send(200, {"object": "list", "data": entries, "model": "hash", "usage": {"total_tokens": 1}})

    def send(self, status, content, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.end()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        if headers.get("Content_Length", "") is None:
            self.close_connection = True


def entries_of(request):
    """The entries of a correct answer."""
    n_dims = request.get("dimensions", N_DIMS)
    vectors = [vector_of(text, n_dims) for text in request["input"]]
    if request.get("encoding_format") == "base64":
        values = [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
    else:
        values = [vector.tolist() for vector in vectors]
    return [{"object": "embedding", "index": i, "embedding": value} for i, value in enumerate(values)]


def status(code, message="try again", **headers):
    """A fault: an error with this status."""
    return lambda handler, request: handler.refuse(code, message, **headers)


def slow(seconds):
    """A fault: the answer is late."""
    return lambda handler, request: time.sleep(seconds) or True


def dripping(seconds):
    """A fault: a byte at a time, without an end."""

    def fault(handler, request):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(int(seconds / 0.02)):
            handler.wfile.write(b" ")
            time.sleep(0.02)

    return fault


def repeating(start, piece, seconds):
    """A fault: raw bytes, then a piece again and again for a limited time."""

    def fault(handler, request):
        handler.close_connection = True
        handler.wfile.write(start)
        for _ in range(int(seconds / 0.02)):
            handler.wfile.write(piece)
            time.sleep(0.02)

    return fault


def halting(seconds):
    """A fault: the headers are late, and the body is late again."""

    def fault(handler, request):
        body = json.dumps({"data": entries_of(request)}).encode()
        time.sleep(seconds)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        time.sleep(seconds)
        handler.wfile.write(body)

    return fault


def cut(after=20, announced=True):
    """A fault: the connection is cut in the middle of the body (after=None: before any answer)."""

    def fault(handler, request):
        handler.close_connection = True
        if after is None:
            # a reset, not an orderly end
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            return
        body = json.dumps({"data": entries_of(request)}).encode()
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:after])

    return fault


def changed(change):
    """A fault: a function changes the entries of the correct answer in place, or returns others."""

    def fault(handler, request):
        entries = entries_of(request)
        handler.answer(entries if (new := change(entries)) is None else new)

    return fault


def body(content, **headers):
    """A fault: this body, bytes or what json can write."""
    return lambda handler, request: handler.send(200, content, **headers)


def gzipped(damage=lambda packed: packed):
    """A fault: the answer is compressed, and perhaps damaged afterwards."""

    def fault(handler, request):
        packed = damage(gzip.compress(json.dumps({"data": entries_of(request)}).encode()))
        handler.send(200, packed, Content_Encoding="gzip")

    return fault


def redirect(code, target):
    """A fault: go somewhere else."""
    return lambda handler, request: handler.send(code, b"", Location=target)
