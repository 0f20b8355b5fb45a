"""The data of the main job as questions of what comes next after a history."""

from dataclasses import replace

import numpy as np

from skllmrec._cli.compare.data import JobData
from skllmrec._cli.compare.estimators import Protocol
from skllmrec._cli.compare.files import HISTORY, ITEM, TIME, USER
from skllmrec.model_selection import add_histories


def as_questions(data: JobData, protocol: Protocol) -> tuple[JobData, Protocol]:
    """Append the histories to the rows, where a protocol asks for them, and decide whether lists may repeat them.

    Lists leave out what is in the history where hardly any user has an item twice (below 1 % of the rows), as of films;
    elsewhere, as of purchases, repeats are legal answers.

    Parameters
    ----------
    data : JobData
    protocol : Protocol

    Returns
    -------
    data : JobData
        As it was, but for the column of the histories and a note.
    protocol : Protocol
    """
    if protocol.history is None:
        return data, protocol
    time = TIME if TIME in data.X.columns else None
    X = add_histories(data.X, user=USER, item=ITEM, time=time, name=HISTORY)
    share = float(np.mean(data.X.duplicated([USER, ITEM])))
    exclude = share < 0.01
    rule = "lists leave out what is in the history" if exclude else "lists may repeat what is in the history"
    note = f"{share:.1%} of the rows repeat an earlier item of their user: {rule}"
    return replace(data, X=X, notes=[*data.notes, note]), replace(protocol, exclude_seen=exclude)
