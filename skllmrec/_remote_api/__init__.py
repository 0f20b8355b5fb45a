"""A client of JSON services over HTTP: retries, limited concurrency, a key that stays in the environment."""

from skllmrec._remote_api._address import parse_base_url
from skllmrec._remote_api._client import RemoteAPI

__all__ = ["RemoteAPI", "parse_base_url"]
