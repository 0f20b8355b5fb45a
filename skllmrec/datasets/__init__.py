"""Data sets: loaders and generators."""

from skllmrec.datasets._folder import load_interactions
from skllmrec.datasets._home import get_data_home
from skllmrec.datasets._movielens import fetch_movielens_100k
from skllmrec.datasets._synthetic import make_interactions

__all__ = ["fetch_movielens_100k", "get_data_home", "load_interactions", "make_interactions"]
