"""A client of JSON services over HTTP: retries, limited concurrency, a key that stays in the environment."""

from skllmrec._remote_api._address import parse_base_url
from skllmrec._remote_api._client import RemoteAPI, refusal_of
from skllmrec._remote_api._refusals import Refusal

__all__ = ["Refusal", "RemoteAPI", "parse_base_url", "refusal_of"]
