"""Contract suites: checks that every recommender and every text encoder must pass, for your own ones too."""

from skllmrec.testing._encoder_checks import check_encoder
from skllmrec.testing._recommender_checks import EXPECTED_FAILED_CHECKS as EXPECTED_FAILED_CHECKS
from skllmrec.testing._recommender_checks import check_recommender

__all__ = ["check_encoder", "check_recommender"]
