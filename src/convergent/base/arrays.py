"""Conversion, centring and correlation of arrays of numpy or torch."""

from __future__ import annotations

from typing import Any

import array_api_compat as array_api
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "Floats",
    "Integers",
    "centre",
    "correlate",
    "correlate_resampled",
    "double",
    "take",
    "to_numpy",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Array = Any  # numpy array or torch tensor


def correlate(predicted: Array, observed: Array) -> NDArray[np.float64]:
    """Pearson correlation of each column.

    Parameters
    ----------
    predicted, observed : arrays (n, q)
        Predictions and responses for the same stimuli.

    Returns
    -------
    float64 array (q,)
        0 where a prediction is constant (it explains nothing), NaN where a response is constant
        (there is nothing to explain).
    """
    xp = array_api.array_namespace(predicted, observed)
    _, a, a_length = centre(predicted)
    _, b, b_length = centre(observed)
    product = to_numpy(xp.sum(a * b, axis=0))
    lengths = to_numpy(a_length) * to_numpy(b_length)
    r = np.divide(product, lengths, out=np.zeros(len(lengths)), where=lengths > 0)
    return np.where(to_numpy(b_length) > 0, np.clip(r, -1, 1), np.nan)


def correlate_resampled(
    predicted: Array, observed: Array, counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson correlation of each column, in resamples of the rows.

    Parameters
    ----------
    predicted, observed : arrays (n, q)
        Predictions and responses for the same stimuli.
    counts : float array (B, n)
        How often each of B resamples contains each stimulus.

    Returns
    -------
    float64 array (B, q)
        0 where a prediction is constant, NaN where a response is constant, as in `correlate`.
    """
    total = np.maximum(counts.sum(1, keepdims=True), 1e-300)
    sides = []
    for values in (predicted, observed):
        _, centred, length = centre(values)
        centred = to_numpy(centred)
        square = counts @ centred**2 - (counts @ centred) ** 2 / total
        responsive = (square > 1e-12 * to_numpy(length) ** 2) & (to_numpy(length) > 0)
        sides.append((centred, np.sqrt(np.where(responsive, square, 0.0))))
    (a, a_length), (b, b_length) = sides
    product = counts @ (a * b) - (counts @ a) * (counts @ b) / total
    lengths = a_length * b_length
    r = np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    return np.where(b_length > 0, np.clip(r, -1, 1), np.nan)


def to_numpy(values: Array) -> NDArray[Any]:
    """Convert to a numpy array in the memory of the CPU."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def centre(values: Array) -> tuple[Array, Array, Array]:
    """Means of columns, columns minus their means, and the lengths of these.

    A length is 0 where only rounding error is left: the column is constant.
    """
    xp = array_api.array_namespace(values)
    mean = xp.mean(values, axis=0)
    centred = values - mean
    length = xp.sqrt(xp.sum(centred**2, axis=0))
    rounding = 1e-12 * xp.sqrt(xp.sum(values**2, axis=0))
    return mean, centred, xp.where(length > rounding, length, xp.zeros_like(length))


def double(values: Array) -> Array:
    """Convert to float64."""
    xp = array_api.array_namespace(values)
    return xp.astype(values, xp.float64)


def take(values: Array, rows: NDArray[np.intp]) -> Array:
    """Select rows, in the given order."""
    xp = array_api.array_namespace(values)
    return xp.take(values, xp.asarray(rows, device=array_api.device(values)), axis=0)
