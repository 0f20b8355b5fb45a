"""A network that reads what a user had, in order, and says what comes next."""

from skllmrec.recommenders.sequential._estimator import SequentialRecommender

__all__ = ["SequentialRecommender"]
