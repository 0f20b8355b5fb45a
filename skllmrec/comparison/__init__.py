"""Train and compare recommenders under one protocol."""

from skllmrec.comparison._compare import compare_recommenders
from skllmrec.comparison._result import Comparison

__all__ = ["Comparison", "compare_recommenders"]
