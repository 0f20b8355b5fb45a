"""Splitters of interactions, with scikit-learn's interface.

Warm start: `PerUserKFold`, `LeaveLastOut`. By time: `TemporalSplit`, `LeaveLastOut`. Cold start: `ColdItemKFold`,
`ColdUserKFold`. What comes next: `next_item_split`, and `add_histories` with any of the splitters by time.
"""

from skllmrec.model_selection._cold import ColdItemKFold, ColdUserKFold
from skllmrec.model_selection._next_item import add_histories, next_item_split
from skllmrec.model_selection._per_user import PerUserKFold
from skllmrec.model_selection._temporal import LeaveLastOut, TemporalSplit

__all__ = [
    "ColdItemKFold",
    "ColdUserKFold",
    "LeaveLastOut",
    "PerUserKFold",
    "TemporalSplit",
    "add_histories",
    "next_item_split",
]
