"""Where a service is, how to get there, and the key that it asks for."""

import base64
import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._:%-]*")
_PATH = re.compile(r"[!-~]*")  # allowed in a request line: the rest has to be percent-encoded
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")  # surely the name of a variable; anything else may be a key by mistake
_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Address:
    """Address of a service.

    Parameters
    ----------
    scheme : {"http", "https"}
        Protocol.
    host : str
        Name or number of the host, without brackets.
    port : int
        Port.
    path : str
        Path without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and, where it is not the usual one, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @property
    def url(self) -> str:
        """The address in one way of writing."""
        return self.origin + self.path

    @property
    def is_loopback(self) -> bool:
        """Whether it is this computer, by its name or number."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class Proxy:
    """A proxy on the way to a service; `authorization` is the value of its header, or None."""

    host: str
    port: int
    authorization: str | None

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"  # without the password


def parse_base_url(base_url: str) -> Address:
    """Read the address of a service.

    Parameters
    ----------
    base_url : str
        E.g. ``"http://127.0.0.1:8000/v1"``.

    Returns
    -------
    Address

    Raises
    ------
    ValueError
        If it is no address of a service, or holds a password or a query.

    Examples
    --------
    >>> from skllmrec._remote_api import parse_base_url
    >>> parse_base_url("HTTPS://Models.Example.com:443/v1/").url
    'https://models.example.com/v1'
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = _ascii_host(parts.hostname or ""), parts.port
    except ValueError:  # UnicodeError is one
        raise ValueError(f"base_url={_without_password(base_url)!r} has no valid host or port") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            f"base_url={_without_password(base_url)!r} holds more than scheme, host, port and path: leave user, "
            "password, query and fragment out; a key belongs in the environment variable that api_key_env= names"
        )
    if parts.scheme not in _PORTS or not host or not _PATH.fullmatch(parts.path):
        raise ValueError(
            f"base_url={_without_password(base_url)!r} is no address of a server: write it like "
            "'http://127.0.0.1:8000/v1' or 'https://models.example.com/v1'"
        )
    return Address(parts.scheme, host, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def _ascii_host(host):
    """Write the name of a host in the letters of the domain name system; IPv6 numbers stay as they are.

    Raises
    ------
    ValueError
        If it has other letters.
    """
    name = host if ":" in host else host.encode("idna").decode()
    if not _HOST.fullmatch(name):
        raise ValueError(name)
    return name


def _without_password(url):
    """Leave out what may be secret in an address."""
    return re.sub(r"[^/]*@", "...@", re.split("[?#]", url)[0])


def find_proxy(address: Address) -> Proxy | None:
    """Find the proxy that the environment names for an address; there is none for this computer.

    Parameters
    ----------
    address : Address
        Where requests go.

    Returns
    -------
    Proxy or None

    Raises
    ------
    ValueError
        If the proxy is not of a kind that is known.
    """
    if address.is_loopback or proxy_bypass(f"{address.host}:{address.port}"):
        return None
    proxies = getproxies()
    url = proxies.get(address.scheme) or proxies.get("all")
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(
            f"the environment names a proxy for {address.scheme} whose address does not begin with http:// "
            f"({parts.scheme}://...): name an HTTP proxy, or enter {address.host} in NO_PROXY"
        )
    return Proxy(parts.hostname, parts.port or 80, _basic_authorization(parts))


def _basic_authorization(parts):
    if parts.username is None:
        return None
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return "Basic " + base64.b64encode(secret).decode()


def read_key(variable: str | None) -> str | None:
    """Read a key from the environment.

    Parameters
    ----------
    variable : str or None
        Name of the environment variable.

    Returns
    -------
    str or None
        None where no variable is named.

    Raises
    ------
    ValueError
        If the variable is not set or holds what cannot be a key. The message never shows the value, and the name
        only if it cannot be a key that was given in place of a name.
    """
    if variable is None:
        return None
    shown = repr(variable) if _VARIABLE.fullmatch(variable) else "(not shown: it may be the key itself)"
    key = os.environ.get(variable, "").strip() if "\0" not in variable else ""
    if _KEY.fullmatch(key):
        return key
    if key:
        del key  # reports that show local variables must not show it
        raise ValueError(
            f"the environment variable that api_key_env= names, {shown}, holds spaces, line breaks or characters "
            "outside of ASCII, so it is no key: set it anew"
        )
    raise ValueError(
        f"the environment variable that api_key_env= names, {shown}, is not set here or empty: set it to the key "
        "before Python starts; api_key_env takes the name of the variable, never the key"
    )


def check_privacy(address: Address, variable: str | None) -> None:
    """Refuse to send a key without encryption.

    A warning would come after the key was sent, and would be lost in the workers of a search. Numbers and names of
    local networks are no exception: others may listen there.

    Parameters
    ----------
    address : Address
        Where requests go.
    variable : str or None
        Name of the environment variable with the key, if there is one.

    Raises
    ------
    ValueError
        If there is a key and the address is neither https nor this computer.
    """
    if variable is not None and address.scheme != "https" and not address.is_loopback:
        raise ValueError(
            f"base_url={address.url!r} would send the key without encryption: use https://, or a tunnel such as "
            f"'ssh -L {address.port}:localhost:{address.port} {address.host}' and base_url="
            f"'http://localhost:{address.port}{address.path}'; where the server asks for no key, leave api_key_env out"
        )
