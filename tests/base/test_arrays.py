"""The one rule of silent units, and centring and correlation at any scale and offset."""

import dask.array
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from convergent.base.arrays import (
    centre,
    correlate,
    correlate_resampled,
    double,
    is_rounding,
    is_silent,
    is_silent_range,
    steady,
    to_numpy,
)

EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True)
KINDS = {"numpy": np.asarray, "torch": torch.from_numpy}
WIDEST = {np.float32: 30, np.float64: 200}  # powers of ten that keep clear of the ends


@st.composite
def units(draw):
    """Responses of one unit (n, 1), and whether it is silent: plainly so, or plainly not."""
    dtype = draw(st.sampled_from(list(WIDEST)))
    n = draw(st.integers(3, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level = dtype(draw(st.sampled_from([0.1, -3.7, 1.0, 0.0, 1234.5])))
    kind = draw(st.sampled_from(["constant", "rounded", "varying", "one stimulus"]))
    values = np.full((n, 1), level, dtype)
    if kind == "rounded":  # as means over repeats are
        values *= (1 + rng.integers(-2, 3, (n, 1)) * np.finfo(dtype).eps).astype(dtype)
    elif kind == "varying":
        values = values + rng.standard_normal((n, 1)).astype(dtype)
    elif kind == "one stimulus":
        values[rng.integers(n)] += dtype(1)
    return values, kind in ("constant", "rounded")


@EXAMPLES
@given(unit=units(), power=st.floats(-1, 1), kind=st.sampled_from(list(KINDS)))
def test_no_factor_changes_the_verdict(unit, power, kind):
    values, silent = unit
    dtype = values.dtype.type
    scaled = values * dtype(10.0 ** (power * WIDEST[dtype]))
    assert bool(is_silent(KINDS[kind](values))[0]) == silent
    assert bool(is_silent(KINDS[kind](scaled))[0]) == silent
    assert bool(is_silent(KINDS[kind](-scaled))[0]) == silent


@EXAMPLES
@given(unit=units(), share=st.floats(-1, 1))
def test_no_offset_changes_the_verdict_while_the_variation_is_above_rounding(unit, share):
    values, silent = unit
    dtype = values.dtype.type
    # the greatest offset leaves 64 times the variation that counts as rounding
    offset = dtype(share * np.ptp(values) / (64 * 16 * np.finfo(dtype).eps)) if not silent else 99
    assert bool(is_silent(values + dtype(offset))[0]) == silent


@EXAMPLES
@given(unit=units(), other=st.sampled_from([1e-30, 1.0, 1e30]), seed=st.integers(0, 1000))
def test_neither_other_units_nor_the_order_of_stimuli_matter(unit, other, seed):
    values, silent = unit
    rng = np.random.default_rng(seed)
    beside = (other * rng.standard_normal((len(values), 3))).astype(values.dtype)
    together = np.hstack([beside, values, beside])[rng.permutation(len(values))]
    np.testing.assert_array_equal(is_silent(together), [False] * 3 + [silent] + [False] * 3)


@EXAMPLES
@given(unit=units(), kind=st.sampled_from(list(KINDS)))
def test_the_verdict_is_the_same_from_bounds_and_in_later_steps(unit, kind):
    values, silent = unit
    chunks = dask.array.from_array(values, chunks=(2, 1))
    bounds = dask.array.compute(chunks.min(0), chunks.max(0))
    assert is_silent_range(*bounds, chunks.dtype)[0] == silent
    settled = double(steady(KINDS[kind](values)))  # as populations read them
    assert (np.ptp(to_numpy(settled)) == 0) == silent
    assert (float(centre(settled)[2][0]) == 0) == silent
    assert np.isnan(correlate(settled, settled)[0]) == silent
    assert (
        np.isnan(correlate_resampled(settled, settled, np.ones((1, len(values))))[0, 0]) == silent
    )


def test_responses_of_single_precision_keep_their_rounding_error_when_converted():
    """So the rule is asked before: the last digit of float32 is much for float64."""
    rounded = np.array([[0.1], [0.1], [0.3 / 3], [0.7 / 7]], dtype=np.float32)
    rounded[1] = np.nextafter(rounded[1], np.float32(1))
    constant = np.full((4, 1), 0.1, np.float32)
    quantised = (1e6 + np.random.default_rng(0).standard_normal((40, 1))).astype(np.float32)
    assert is_silent(rounded)[0]
    assert not is_silent(rounded.astype(float))[0]
    assert is_silent(constant.astype(float))[0]
    assert not is_silent(quantised)[0]  # its 16 steps to the deviation are what was recorded


def test_missing_values_are_not_silence():
    values = np.array([[1.0, np.nan], [1.0, 1.0]])
    np.testing.assert_array_equal(is_silent(values), [True, False])


def test_sums_that_computation_leaves_are_given_more_rounding():
    values = np.full((50, 1), 3.0)
    values[::2] *= 1 + 1e-13
    assert not is_silent(values)[0]
    assert is_silent(values, computed=True)[0]
    varied = np.random.default_rng(0).standard_normal((50, 1))
    assert correlate(values, varied)[0] == 0


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_differences_of_sums_are_rounding_or_variation(offset):
    rng = np.random.default_rng(1)
    values = offset + np.hstack([np.zeros((200, 1)), rng.standard_normal((200, 1))])
    total = (values**2).sum(0)
    square = total - values.sum(0) ** 2 / len(values)
    np.testing.assert_array_equal(is_rounding(square, total, len(values)), [True, False])


@pytest.mark.parametrize("scale", [1e-200, 1e-10, 1.0, 1e150])
@pytest.mark.parametrize("kind", KINDS)
def test_centring_keeps_lengths_that_squares_cannot_hold(scale, kind):
    x = np.random.default_rng(2).standard_normal((60, 4)) + 2
    mean, centred, length = map(to_numpy, centre(KINDS[kind](x * scale)))
    np.testing.assert_allclose(mean, x.mean(0) * scale, rtol=1e-12)
    np.testing.assert_allclose(centred, (x - x.mean(0)) * scale, rtol=1e-9, atol=1e-15 * scale)
    np.testing.assert_allclose(length, np.linalg.norm(x - x.mean(0), axis=0) * scale, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-10, 1.0, 1e150])
@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("kind", KINDS)
def test_correlations_depend_on_neither_scale_nor_offset(scale, offset, kind):
    a, b = np.random.default_rng(3).standard_normal((2, 60, 4))
    expected = [pearsonr(a[:, j], b[:, j]).statistic for j in range(4)]
    one, other = KINDS[kind]((a + offset) * scale), KINDS[kind](b)
    np.testing.assert_allclose(correlate(one, other), expected, atol=1e-7)
    np.testing.assert_allclose(correlate(other, one), expected, atol=1e-7)
    counts = np.random.default_rng(4).multinomial(60, np.full(60, 1 / 60), size=3).astype(float)
    found = correlate_resampled(one, other, counts)
    for r, count in zip(found, counts.astype(int), strict=True):
        rows = np.repeat(np.arange(60), count)
        expected = [pearsonr(a[rows, j], b[rows, j]).statistic for j in range(4)]
        np.testing.assert_allclose(r, expected, atol=1e-7)
