"""Encoding of texts by a server: the estimator and the job that sends its requests."""

from skllmrec.encoders.remote._encoder import RemoteTextEncoder

__all__ = ["RemoteTextEncoder"]
