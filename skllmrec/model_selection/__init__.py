"""Splitters of interactions, with scikit-learn's interface.

Warm start: `PerUserKFold`, `LeaveLastOut`. By time: `TemporalSplit`, `LeaveLastOut`. Cold start: `ColdItemKFold`,
`ColdUserKFold`.
"""

from skllmrec.model_selection._cold import ColdItemKFold, ColdUserKFold
from skllmrec.model_selection._per_user import PerUserKFold
from skllmrec.model_selection._temporal import LeaveLastOut, TemporalSplit

__all__ = ["ColdItemKFold", "ColdUserKFold", "LeaveLastOut", "PerUserKFold", "TemporalSplit"]
