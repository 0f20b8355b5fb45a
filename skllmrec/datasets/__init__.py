"""Data sets: loaders and generators."""

from skllmrec.datasets._home import get_data_home

__all__ = ["get_data_home"]
