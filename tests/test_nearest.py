from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soundalike.nearest import nearest


@given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 1000))
def test_the_nearest_are_those_of_a_full_sort_with_ties_in_row_order(n_rows: int, n: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = draw.integers(-1, 2, (n_rows, 3)).astype(np.float32)  # small whole numbers: many ties, no rounding
    query = draw.integers(-1, 2, 3).astype(np.float32)
    scores = vectors @ query
    want = sorted(range(n_rows), key=lambda row: (-scores[row], row))[:n]
    rows, found = nearest(query, vectors, n)
    assert rows.tolist() == want
    np.testing.assert_array_equal(found, scores[want])
