"""FeatureTable: opaque to scikit-learn, one row for each id."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils.validation import _check_method_params

from skllmrec.base import FeatureTable

FRAME = pd.DataFrame({"item": ["b", "a"], "year": [1, 2]})


@pytest.mark.parametrize("frame", [FRAME, pl.DataFrame(FRAME.to_dict("list"))], ids=["pandas", "polars"])
def test_ids_in_the_order_of_the_rows(frame):
    table = FeatureTable(frame, key="item")
    assert_array_equal(table.index.encode(["a", "b", "c"]), [1, 0, -1])
    assert repr(table) == "FeatureTable(2 rows, key='item', columns=['item', 'year'])"


def test_it_is_not_sliced_with_the_rows_of_the_data():
    table = FeatureTable(FRAME, key="item")
    X = np.zeros((2, 2))  # as many rows as the table
    assert _check_method_params(X, {"item_table": table}, indices=[0])["item_table"] is table
    for name in ("__len__", "shape", "__array__", "__iter__", "__getitem__"):
        assert not hasattr(table, name)


@pytest.mark.parametrize(
    ("frame", "key", "error", "message"),
    [
        ([["b"], ["a"]], "item", TypeError, "FeatureTable needs a dataframe, got list"),
        (np.zeros((2, 2)), "item", TypeError, "FeatureTable needs a dataframe, got ndarray"),
        (FRAME, "id", ValueError, r"key='id' is not a column of X; its columns are \['item', 'year'\]"),
        (FRAME.assign(item=["a", None]), "item", ValueError, r"key column 'item' has a missing id .* position 1"),
        (
            pd.concat([FRAME, FRAME]),
            "item",
            ValueError,
            r"2 ids appear more than once in column 'item', e.g. 'a' in rows \[1, 3\]: keep one row for each id",
        ),
    ],
)
def test_bad_tables(frame, key, error, message):
    with pytest.raises(error, match=message):
        FeatureTable(frame, key=key)
