"""Connections to one server: kept open between requests, all cut at once by `stop`."""

import socket
import ssl
import threading
import time
import weakref
import zlib
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection, IncompleteRead, RemoteDisconnected
from typing import NamedTuple

from skllmrec._remote_api._address import Address, find_proxy, read_key

_LARGEST_BODY = 2**28  # bytes; the vectors of 2,048 texts are less
_CONNECT_TIMEOUT = 10.0  # seconds
_GRACE = 0.1  # seconds
_PIECE = 2**16
# what a connection that was kept open answers with when the server has closed it meanwhile
_CLOSED = RemoteDisconnected, ConnectionResetError, ConnectionAbortedError, BrokenPipeError


class UnreachableError(ConnectionError):
    """No connection was made: nothing was sent. Internal: `RemoteAPI` raises a `RemoteAPIError` instead."""


class UntrustedError(UnreachableError):
    """The certificate of a server cannot be verified: nothing was sent. Internal, as its base class."""


class StoppedError(RuntimeError):
    """All requests were stopped. Internal: `RemoteAPI` raises a `RemoteAPIError` instead."""


class Answer(NamedTuple):
    """The answer of a server.

    Parameters
    ----------
    status : int
        Status code.
    reason : str
        Reason phrase.
    headers : http.client.HTTPMessage
        Headers.
    body : bytes
        Body without its content encoding.
    has_end : bool
        Whether the end of the body was marked; one that ends with the connection may have been cut.
    """

    status: int
    reason: str
    headers: HTTPMessage
    body: bytes
    has_end: bool


def _decode(body, encoding):
    """Take off the content encoding.

    Raises
    ------
    HTTPException
        If the encoding is unknown, or the body is damaged, cut or unpacks to more than is allowed.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise HTTPException(f"an answer in the content encoding {encoding!r}, which was not asked for")
    unpacker = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)  # 32: gzip or zlib, as its header says
    try:
        unpacked = unpacker.decompress(body, _LARGEST_BODY + 1)
    except zlib.error:
        raise HTTPException(f"a damaged {encoding} body") from None
    if len(unpacked) > _LARGEST_BODY:
        raise _too_large()
    if not unpacker.eof:
        raise IncompleteRead(b"")
    return unpacked


def _too_large():
    return HTTPException(f"a body of more than {_LARGEST_BODY:,} bytes")


def _read_body(response, sock, deadline):
    """Read a body of limited size, in limited time, to its end."""
    pieces, size = [], 0
    while True:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        sock.settimeout(seconds)
        try:
            piece = response.read1(_PIECE)
        except ConnectionError:
            raise IncompleteRead(b"") from None
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST_BODY:
            raise _too_large()
    if response.length:  # bytes that were announced and did not come
        raise IncompleteRead(b"")
    response.close()
    return b"".join(pieces)


def _cut(sock):
    """End all reading and writing of a socket, from any thread."""
    with suppress(OSError):
        # the method of a TLS socket would remove the state that the reading thread uses
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@contextmanager
def _limited(find_socket, deadline):
    """Cut a connection at the deadline, wherever its reader is.

    The timeout of a socket begins anew with every byte, so that a server that drips its handshake, status lines,
    headers, lengths of chunks or trailers would hold the reader for hours. `find_socket` returns the socket of the
    connection, or None where there is none yet.

    Raises
    ------
    TimeoutError
        If the deadline has passed, whatever was read until then.
    """
    is_over, is_done = threading.Event(), threading.Event()

    def watch():
        # later by a little, so that a server that sends nothing meets the timeout of the socket first
        seconds = max(deadline - time.monotonic(), 0.0) + _GRACE
        while not is_done.wait(seconds):
            is_over.set()
            sock = find_socket()
            if sock is not None:
                _cut(sock)
            seconds = _GRACE  # again: it may have been connected only now, or been wrapped

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except (OSError, HTTPException) as error:
        if isinstance(error, TimeoutError) or not is_over.is_set():
            raise
    finally:
        is_done.set()
    if is_over.is_set():  # a cut can look like the end of headers or of a body
        raise TimeoutError


def _close_all(connections):
    while connections:
        connections.pop().close()


class Connections:
    """Connections to one server.

    Every request has a connection of its own while it lasts, so threads may share the object. The key is read from
    the environment when a request is sent, and is kept nowhere.

    Parameters
    ----------
    address : Address
        Where the server is.
    api_key_env : str or None
        Environment variable that holds the key.
    user_agent : str
        Name and version of the client.
    timeout : float
        Seconds that a request may take, with connecting, proxy and handshake.

    Raises
    ------
    ValueError
        If the environment names a proxy of an unknown kind.
    """

    def __init__(self, address: Address, *, api_key_env: str | None, user_agent: str, timeout: float) -> None:
        self._address = address
        self._api_key_env = api_key_env
        self._user_agent = user_agent
        self._timeout = timeout
        self._proxy = find_proxy(address)
        self._lock = threading.Lock()
        self._idle: list[HTTPConnection] = []
        self._busy: set[socket.socket] = set()
        self._connecting: set[HTTPConnection] = set()
        self._is_stopped = False
        self._tls: ssl.SSLContext | None = None
        weakref.finalize(self, _close_all, self._idle)

    def post(self, path: str, payload: bytes) -> Answer:
        """Send a request, over a connection that is open already where there is one.

        Parameters
        ----------
        path : str
            Path below the address.
        payload : bytes
            JSON.

        Returns
        -------
        Answer

        Raises
        ------
        UnreachableError
            If no connection can be made.
        StoppedError
            After `stop`.
        OSError, http.client.HTTPException
            If the request is cut or takes too long, or what comes is no HTTP.
        """
        deadline = time.monotonic() + self._timeout
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            with suppress(*_CLOSED):
                return self._exchange(kept, path, payload, deadline)
        return self._exchange(self._connect(deadline), path, payload, deadline)

    def stop(self) -> None:
        """Cut all requests that are under way and refuse others."""
        with self._lock:
            self._is_stopped = True
            for sock in [*self._busy, *(connection.sock for connection in self._connecting)]:
                if sock is not None:
                    _cut(sock)
            _close_all(self._idle)

    def _connect(self, deadline):
        address, proxy = self._address, self._proxy
        end = proxy or address
        timeout = min(_CONNECT_TIMEOUT, self._timeout)
        if address.scheme == "http":
            connection = HTTPConnection(end.host, end.port, timeout=timeout)
        else:
            with self._lock:
                self._tls = self._tls or ssl.create_default_context()  # verifies certificate and host
            connection = HTTPSConnection(end.host, end.port, timeout=timeout, context=self._tls)
            if proxy is not None:
                headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
                connection.set_tunnel(address.host, address.port, headers=headers)
        connection.set_debuglevel(0)  # a program may have set it for all connections: it would print the key
        with self._lock:
            self._connecting.add(connection)
        try:
            with _limited(lambda: connection.sock, deadline):
                self._open(connection)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise UntrustedError(error.verify_message) from error
        except (OSError, HTTPException) as error:  # HTTPException: a proxy that answers CONNECT with no HTTP
            connection.close()
            reason = getattr(error, "strerror", None) or str(error) or "no reason given"
            if isinstance(error, TimeoutError):  # whose own words differ with the place of the wait
                reason = "no answer in time"
            raise UnreachableError(reason) from error
        except BaseException:
            connection.close()
            raise
        finally:
            with self._lock:
                self._connecting.discard(connection)
        return connection

    def _open(self, connection):
        """Connect, through the proxy where there is one, and shake hands.

        `HTTPSConnection.connect` would hide the socket while it shakes hands, so that nothing could cut it.
        """
        HTTPConnection.connect(connection)
        if self._address.scheme == "https":
            connection.sock = self._tls.wrap_socket(
                connection.sock, server_hostname=self._address.host, do_handshake_on_connect=False
            )
            connection.sock.do_handshake()

    def _exchange(self, connection, path, payload, deadline):
        sock = connection.sock
        try:
            self._enter(sock)
            sock.settimeout(max(deadline - time.monotonic(), _GRACE))
            with _limited(lambda: sock, deadline):
                # a server may refuse a request, e.g. as too large, and hang up before it has read all: look for its
                # answer
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._send(connection, path, payload)
                response = connection.getresponse()
                body = _read_body(response, sock, deadline)
            answer = Answer(
                response.status,
                response.reason,
                response.headers,
                _decode(body, response.getheader("Content-Encoding", "").lower()),
                bool(response.chunked) or "Content-Length" in response.headers,
            )
        except BaseException:
            connection.close()
            raise
        finally:
            with self._lock:
                self._busy.discard(sock)
        self._put_back(connection, response.will_close)
        return answer

    def _enter(self, sock):
        with self._lock:
            if self._is_stopped:
                raise StoppedError
            self._busy.add(sock)

    def _put_back(self, connection, will_close):
        with self._lock:
            if not (will_close or self._is_stopped):
                self._idle.append(connection)
                return
        connection.close()

    def _send(self, connection, path, payload):
        through = self._proxy is not None and self._address.scheme == "http"  # asked for by its whole address
        target = (self._address.url if through else self._address.path) + path
        try:
            connection.request("POST", target, body=payload, headers=self._headers(through))
        except BaseException as error:
            # the frames below hold the key: it must not reach a debugger, log or crash report
            raise error.with_traceback(None)  # noqa: B904 - it is the same error

    def _headers(self, through_proxy):
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": self._user_agent,
        }
        key = read_key(self._api_key_env)
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        if through_proxy and self._proxy.authorization:
            headers["Proxy-Authorization"] = self._proxy.authorization
        return headers
