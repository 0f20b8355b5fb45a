"""Equal rows are computed once."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skllmrec._kernels.distinct_rows import distinct_rows, on_distinct_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_against_a_loop(dtype):
    rows = np.random.default_rng(0).integers(0, 3, size=(50, 3)).astype(dtype)
    first, places = distinct_rows(rows)
    assert_array_equal(rows[first[places]], rows)
    assert len(first) == len({tuple(row) for row in rows.tolist()})
    assert distinct_rows(rows[first]) is None
    assert distinct_rows(rows[:1]) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_equal_rows_are_equal(dtype):
    generator = np.random.default_rng(1)
    some, factors = generator.normal(size=(37, 65)).astype(dtype), generator.normal(size=(65, 9)).astype(dtype)
    asked = []

    def product(rows):
        asked.append(rows.shape[0])
        return rows @ factors

    found = on_distinct_rows(product, np.tile(some, (3, 1)))
    np.testing.assert_allclose(found[:37], some @ factors, rtol=1e-4, atol=1e-5)
    assert_array_equal(found, np.tile(found[:37], (3, 1)))
    assert_array_equal(on_distinct_rows(product, some), some @ factors)
    assert asked == [37, 37]
    given = sparse.csr_matrix(some)
    np.testing.assert_allclose(on_distinct_rows(product, given), some @ factors, rtol=1e-4, atol=1e-5)
