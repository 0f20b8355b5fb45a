"""The training parameters that estimators share: one word for one thing, scikit-learn's where it has one."""

import os
from numbers import Integral, Real
from typing import Any

from skllmrec._sklearn import Interval, StrOptions
from skllmrec._training._recipe import DTYPES, SCHEDULES, SOLVERS

_POSITIVE_INTEGER = Interval(Integral, 1, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")

# what each parameter is, and the values that an estimator may accept
_PARAMETERS: dict[str, list[Any]] = {
    "max_iter": [_POSITIVE_INTEGER],  # most epochs; `n_iter_` is the number that were done
    "max_steps": [_POSITIVE_INTEGER, None],  # most steps of the optimiser; None: as many as the epochs have
    "batch_size": [StrOptions({"auto"}), _POSITIVE_INTEGER],  # rows of a batch
    "gradient_accumulation": [_POSITIVE_INTEGER],  # batches of a step
    "solver": [StrOptions(set(SOLVERS))],  # the optimiser
    "learning_rate": [StrOptions(set(SCHEDULES))],  # the schedule after the warm-up
    "learning_rate_init": [_POSITIVE, None],  # the highest learning rate
    "warmup": [_SHARE],  # share of the training in which the learning rate rises
    "weight_decay": [_NOT_NEGATIVE],  # of matrices and embeddings
    "dropout": [_SHARE],
    "early_stopping": ["boolean"],  # hold rows out, stop after `n_iter_no_change`, keep the best epoch
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],  # share of the rows that is held out
    "n_iter_no_change": [_POSITIVE_INTEGER, None],  # epochs without a better held-out score; None: never stop
    "tol": [_NOT_NEGATIVE],  # least gain of the held-out score that counts
    "dtype": [StrOptions(set(DTYPES))],  # of the forward pass; parameters are float32
    "checkpoint_dir": [str, os.PathLike, None],  # folder that a training is saved to and resumed from
    "callbacks": [tuple, list],  # functions of the record of an epoch
    "device": [str, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def training_constraints(*names: str) -> dict[str, list[Any]]:
    """Return the constraints of some training parameters, for `_parameter_constraints`.

    Parameters
    ----------
    *names : str

    Returns
    -------
    dict of str to list

    Examples
    --------
    >>> from skllmrec._training import training_constraints
    >>> training_constraints("early_stopping", "callbacks")
    {'early_stopping': ['boolean'], 'callbacks': [<class 'tuple'>, <class 'list'>]}
    """
    return {name: _PARAMETERS[name] for name in names}
