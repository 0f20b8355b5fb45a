"""RemoteAPI: requests with JSON that are repeated where it helps, a few at a time."""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from typing import Any, NamedTuple

from skllmrec import __version__
from skllmrec._remote_api._address import check_privacy, parse_base_url, read_key
from skllmrec._remote_api._connections import Connections, StoppedError, UnreachableError, UntrustedError
from skllmrec._remote_api._refusals import OTHER, Refusal, read_refusal
from skllmrec.exceptions import RemoteAPIError

_FIRST_WAIT = 1.0  # seconds, doubled with every try: six waits make about a minute, the unit of most rate limits
_LONGEST_WAIT = 120.0  # seconds; a server that asks for more is left alone
_SHOWN = 300  # characters of a server's message in an error
_LOOK = 0.2  # seconds between two looks at the threads: where a wait cannot be interrupted, Ctrl-C waits so long

# 408 time-out, 409 conflict, 424 a backend failed (text-embeddings-inference), 425 too early, 429 too many requests
_PASSING = {408, 409, 424, 425, 429}
_BUSY = {429, 503}  # holds for every request, not only for the one that was refused
_REMEDIES = {
    400: "check model, parameters and texts against what the server says",
    401: "check the key in the environment variable that api_key_env= names",
    402: "check credit and budget of the account",
    403: "the key may not do this: check its rights, or name another one with api_key_env=",
    404: "check base_url (most servers want a path such as /v1) and the name of the model",
    413: "send less at a time, or shorter texts",
    422: "check model, parameters and texts against what the server says",
    429: "lower n_concurrent, raise max_retries, or check the quota of the account",
}


_ACCOUNT_REMEDY = "check budget, quota and rate limits of the account, or of the key; no text is the reason"
# comes as 429 too, but no wait of ours helps; most services word a passing limit as a quota as well
_USED_UP = re.compile(rb"insufficient_quota|budget_exceeded|budget has been exceeded|crossed budget", re.I)


class _Trouble(NamedTuple):
    """Why a try failed: message and remedy, whether another try may help, and when."""

    what: str
    remedy: str
    passes: bool = False  # with time, so that another try may help
    status: int | None = None
    detail: str = ""
    seconds: float | None = None  # that the server asks to wait
    refusal: Refusal = OTHER


def _seconds_to_wait(headers):
    """Read Retry-After, a number of seconds or a date; None without it, or if the date is past (clocks differ)."""
    value, seconds = (headers.get("Retry-After") or "").strip(), 0.0
    with suppress(ValueError, TypeError, OverflowError):
        seconds = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
    return seconds if seconds > 0 else None


def _message(body):
    """Find the message of an error: in the usual fields of JSON, else the whole text."""
    text = body[: 2**16].decode("utf-8", errors="replace")
    with suppress(ValueError, RecursionError):
        found = json.loads(body)
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and found.get(name):
                found = found[name]
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return text


def _codes(body):
    """Find the names that a server has for the kind of an error, such as "insufficient_quota"."""
    with suppress(ValueError, RecursionError):
        found = json.loads(body)
        inner = found.get("error") if isinstance(found, dict) else None
        places = [place for place in (found, inner) if isinstance(place, dict)]
        codes = [place.get(name) for place in places for name in ("type", "code")]
        return " ".join(code for code in codes if isinstance(code, str))
    return ""


def _read_refusal(status, body):
    return read_refusal(status, f"{_message(body)} {_codes(body)}")


def refusal_of(error: RemoteAPIError) -> Refusal:
    """Return what the server has meant by the answer that an error is about.

    Parameters
    ----------
    error : RemoteAPIError
        Raised by `RemoteAPI.post_json`.

    Returns
    -------
    Refusal
    """
    return OTHER if error._refusal is None else Refusal(*error._refusal)


class RemoteAPI:
    """A service that takes JSON and gives JSON, such as a server of a language model.

    A request that may succeed later (429, server errors, time-outs, cut connections) is repeated after waits that
    double, with jitter; ``Retry-After`` is honoured, and while a server says that it is busy no request is sent.
    What cannot help is not repeated. Redirects are not followed: texts and key go to `base_url` only, over verified
    TLS or to this computer. Proxies of the environment are used, but not for this computer. The object is made,
    used and dropped within a process; threads may share it.

    Parameters
    ----------
    base_url : str
        Address of the service, e.g. ``"http://127.0.0.1:8000/v1"``.
    api_key_env : str or None, default=None
        Name of the environment variable with the key, read for each request, sent as bearer token.
    n_concurrent : int, default=4
        Requests of `map` at a time.
    timeout : float, default=60.0
        Seconds that a request may take.
    max_retries : int, default=6
        How often a request is repeated. A request and its repetitions take no more than
        ``(max_retries + 1) * (timeout + 120)`` seconds.
    sleep : callable or None, default=None
        Called with the seconds to wait, for tests; None waits until `stop` is called.

    Raises
    ------
    ValueError
        If the address is none, a key would be sent in the clear, or its environment variable is not set.

    Examples
    --------
    >>> from skllmrec._remote_api import RemoteAPI
    >>> RemoteAPI("http://127.0.0.1:9/v1").post_json("embeddings", {"model": "a-model", "input": ["a film"]})
    Traceback (most recent call last):
    ...
    skllmrec.exceptions.RemoteAPIError: http://127.0.0.1:9/v1/embeddings cannot be reached (...
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key_env: str | None = None,
        n_concurrent: int = 4,
        timeout: float = 60.0,
        max_retries: int = 6,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        self._address = parse_base_url(base_url)
        check_privacy(self._address, api_key_env)
        read_key(api_key_env)
        self._api_key_env = api_key_env
        self._n_concurrent = n_concurrent
        self._timeout = timeout
        self._max_retries = max_retries
        self._connections = Connections(
            self._address, api_key_env=api_key_env, user_agent=f"skllmrec/{__version__}", timeout=timeout
        )
        self._stopped = threading.Event()
        self._sleep: Callable[[float], Any] = self._stopped.wait if sleep is None else sleep
        self._free_at = 0.0  # monotonic time at which a busy server may be asked again
        self._was_reached = False

    def __repr__(self) -> str:
        return f"RemoteAPI({self.url!r})"

    @property
    def url(self) -> str:
        """Address of the service, in one way of writing."""
        return self._address.url

    def post_json(
        self,
        path: str,
        body: dict[str, Any],
        *,
        is_final: Callable[[int | None, Refusal], bool] | None = None,
    ) -> dict[str, Any]:
        """Send an object, and again where that may help.

        Parameters
        ----------
        path : str
            Path below the address, e.g. ``"embeddings"``.
        body : dict
            Anything that json can write.
        is_final : callable or None, default=None
            Called with status and meaning of an answer that is none; True ends the repetitions.

        Returns
        -------
        dict
            The object that the server answers.

        Raises
        ------
        RemoteAPIError
            If the server cannot be reached, refuses, or does not answer as it should in any of the tries.
        ValueError
            If `body` cannot be written as JSON, or the key is gone from the environment.
        """
        payload = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        for n_tries in range(1, self._max_retries + 2):
            self._wait(self._free_at - time.monotonic())
            answer = self._try(f"/{path}", payload)
            if not isinstance(answer, _Trouble):
                return answer
            seconds = self._seconds_before_next(answer, n_tries)
            if seconds is None or (is_final is not None and is_final(answer.status, answer.refusal)):
                break
            if answer.status in _BUSY:
                self._free_at = max(self._free_at, time.monotonic() + seconds)
            else:
                self._wait(seconds)
        tries = "" if n_tries == 1 else f" in {n_tries} tries"
        error = RemoteAPIError(f"{self.url}/{path} {answer.what}{tries}: {answer.remedy}", answer.status, answer.detail)
        error._refusal = answer.refusal
        raise error

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Call a function that sends requests for each of several items, a few at a time.

        Parameters
        ----------
        function : callable
            Called with an item, in threads.
        items : list
            What to call it with, in this order.

        Returns
        -------
        list
            What it returned, in the order of the items.

        Raises
        ------
        Exception
            The first that a call raises. It stops the client, as an interruption does: requests under way are cut,
            those that wait are not sent.
        """
        try:
            if len(items) <= 1:
                return [function(item) for item in items]
            return self._map_in_threads(function, items)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cut the requests under way, end all waiting, and send nothing any more."""
        self._stopped.set()
        self._connections.stop()

    def _map_in_threads(self, function, items):
        failures = []

        def attempt(item):
            try:
                return function(item)
            except BaseException as error:
                failures.append(error)
                self.stop()  # here, not where it is noticed: until then other threads would begin requests
                raise

        executor = ThreadPoolExecutor(min(self._n_concurrent, len(items)), thread_name_prefix="RemoteAPI")
        try:
            open_ = futures = [executor.submit(attempt, item) for item in items]
            while open_ and not failures:
                _, open_ = wait(open_, timeout=_LOOK, return_when=FIRST_EXCEPTION)
            if failures:
                raise failures[0]  # the others fail because they were stopped
            return [future.result() for future in futures]
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _wait(self, seconds):
        if seconds > 0:
            self._sleep(seconds)
        if self._stopped.is_set():
            raise self._stop_error()

    def _stop_error(self):
        return RemoteAPIError(f"requests to {self.url} were stopped: another one failed, or was interrupted")

    def _seconds_before_next(self, trouble, n_tries):
        """How long to wait before another try; None if there is to be none."""
        if not trouble.passes or n_tries > self._max_retries:
            return None
        if trouble.seconds is not None and trouble.seconds > _LONGEST_WAIT:
            return None
        # jitter: clients that were refused together must not come back together
        if trouble.seconds is not None:
            return trouble.seconds * random.uniform(1.0, 1.1)  # noqa: S311
        return min(_FIRST_WAIT * 2 ** (n_tries - 1), _LONGEST_WAIT / 1.5) * random.uniform(0.5, 1.5)  # noqa: S311

    def _try(self, path, payload):
        """Send once; what the server answers, or why there is no answer.

        No error of the connection leaves this method, so that none is the cause of another: their frames hold
        texts and key.
        """
        trouble = None
        try:
            answer = self._connections.post(path, payload)
        except StoppedError:
            pass
        except UnreachableError as error:
            trouble = self._unreachable(error)
        except TimeoutError:
            what = f"gave no full answer within {self._timeout:g} s"
            trouble = _Trouble(what, "raise timeout, or send less at a time", passes=True)
        except (HTTPException, OSError) as error:
            trouble = self._broken(error)
        else:
            self._was_reached = True
            return self._read(answer)
        if trouble is None or self._stopped.is_set():
            raise self._stop_error()
        return trouble

    def _unreachable(self, error):
        if isinstance(error, UntrustedError):
            remedy = "let the environment variable SSL_CERT_FILE name the certificate of its authority if you trust it"
            return _Trouble(f"has a certificate that cannot be verified ({error})", remedy)
        return _Trouble(
            f"cannot be reached ({error})",
            "check that the server runs and that base_url is its address",
            # a server that has answered may be starting anew; an address where nobody ever answered is probably wrong
            passes=self._was_reached,
        )

    def _broken(self, error):
        remedy = "look into the server's log"
        if isinstance(error, IncompleteRead | OSError):  # RemoteDisconnected is an OSError
            return _Trouble("cut the connection before its answer was complete", remedy, passes=True)
        if type(error) is HTTPException:  # one of ours
            return _Trouble(f"gave {error}", remedy)
        what = f"gave no valid HTTP ({type(error).__name__})"
        return _Trouble(what, "check base_url: is it https?", passes=self._was_reached)

    def _read(self, answer):
        if answer.status != HTTPStatus.OK:
            return self._refusal(answer)
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            what = f"gave what is no JSON ({self._clean(answer.body.decode('utf-8', 'replace'))!r})"
            return _Trouble(what, "check that base_url is the address of the service", passes=not answer.has_end)
        if not isinstance(found, dict):
            return _Trouble(f"gave a JSON {type(found).__name__} where an object was expected", "check base_url")
        if found.get("error"):
            detail, refusal = self._clean(_message(answer.body)), _read_refusal(200, answer.body)
            remedy = _ACCOUNT_REMEDY if refusal.kind == "account" else "see what the server says"
            return _Trouble(f"gave an error ({detail!r})", remedy, status=200, detail=detail, refusal=refusal)
        return found

    def _refusal(self, answer):
        """Describe an answer with another status than 200."""
        status, detail = answer.status, self._clean(_message(answer.body))
        what = f"answered {status} {self._clean(answer.reason)}" + (f" ({detail!r})" if detail else "")
        if 300 <= status < 400:
            target = self._clean(answer.headers.get("Location", "nowhere"))
            remedy = (
                f"redirects (here to {target}) are not followed, so that texts and key go nowhere else; set base_url "
                "to the final address if you trust it"
            )
            return _Trouble(what, remedy, status=status, detail=detail)
        seconds = _seconds_to_wait(answer.headers)
        if seconds is not None and seconds > _LONGEST_WAIT:
            what += f" and asks to wait {seconds:.0f} s"
        refusal = _read_refusal(status, answer.body)
        return _Trouble(
            what,
            self._remedy(status, refusal),
            passes=(status in _PASSING or status >= 500) and not self._is_in_vain(answer, refusal),
            status=status,
            detail=detail,
            seconds=seconds,
            refusal=refusal,
        )

    def _remedy(self, status, refusal):
        if refusal.kind == "account" and status not in {402, 429}:
            return _ACCOUNT_REMEDY
        return _REMEDIES.get(status, "look into the server's log" if status >= 500 else "see what the server says")

    def _is_in_vain(self, answer, refusal):
        """Whether no repetition of a request can succeed though its status says so."""
        return _USED_UP.search(answer.body) is not None or (answer.status == 429 and refusal.kind == "size")

    def _clean(self, text):
        """Make a server's text one that may be shown: without the key, short, on one line."""
        with suppress(ValueError):  # the key has gone from the environment meanwhile
            key = read_key(self._api_key_env)
            text = text if key is None else text.replace(key, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
