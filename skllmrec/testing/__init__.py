"""Contract suites: what every recommender and every text encoder promises, for those of one's own too."""

from skllmrec.testing._encoder_checks import check_encoder
from skllmrec.testing._recommender_checks import EXPECTED_FAILED_CHECKS as EXPECTED_FAILED_CHECKS
from skllmrec.testing._recommender_checks import check_recommender

__all__ = ["check_encoder", "check_recommender"]
