"""Next items predicted by a network that reads the history of a user in order."""

from skllmrec.recommenders.sequential._estimator import SequentialRecommender

__all__ = ["SequentialRecommender"]
