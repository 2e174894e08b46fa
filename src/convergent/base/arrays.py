"""Arrays of numpy and torch alike: which units are silent, centring, correlation, conversion."""

from __future__ import annotations

from typing import Any

import array_api_compat as array_api
import numpy as np
from numpy.typing import NDArray

from .errors import InputError

__all__ = [
    "Array",
    "Floats",
    "Integers",
    "centre",
    "check_scale",
    "correlate",
    "correlate_resampled",
    "double",
    "is_rounding",
    "is_silent",
    "is_silent_range",
    "steady",
    "take",
    "to_numpy",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Array = Any  # numpy array or torch tensor

# Rounding errors, in units of the last digit, that can add up in one value. A response may be a
# mean over repeats; a prediction is a sum over many stimuli or units.
_LARGEST = 1e140  # the square, summed over stimuli and units, is far below the largest float64
_OF_RESPONSES = 2**4
_OF_PREDICTIONS = 2**12


def is_silent(values: Array, computed: bool = False) -> Array:
    r"""Which units are silent: their responses do not vary by more than rounding error.

    This is the one rule of the whole package. A unit is silent where

    .. math:: \max_i x_i - \min_i x_i \le 16 \, \epsilon \, \max_i |x_i|,

    with :math:`\epsilon` the relative precision of the responses' own number type
    (:math:`2^{-23}` for float32, :math:`2^{-52}` for float64). The rule depends neither on the
    scale of a unit nor on the other units. An offset makes a unit silent only where it is so large
    that responses differ in their last digits alone, where means over repeats differ by rounding
    as well. Apply the rule before responses are converted to a more precise type; afterwards these
    last digits would count as variation.

    Parameters
    ----------
    values : float array (n, ...)
        Responses to n stimuli, as they were given.
    computed : bool
        The values are themselves sums over many stimuli or units, such as predictions, and so
        hold more rounding error: 4096 in place of 16.

    Returns
    -------
    bool array (...)
        Of the same kind; False for units with NaN.
    """
    xp = array_api.array_namespace(values)
    least, most = xp.min(values, axis=0), xp.max(values, axis=0)
    return is_silent_range(least, most, values.dtype, computed)


def is_silent_range(least: Array, most: Array, dtype: Any, computed: bool = False) -> Array:
    """Apply `is_silent` where the least and the greatest response of each unit are known.

    Parameters
    ----------
    least, most : float arrays
        Least and greatest response of each unit.
    dtype : dtype
        Number type of the responses as they were given.
    computed : bool
        As for `is_silent`.

    Returns
    -------
    bool array
        Which units are silent.
    """
    xp = array_api.array_namespace(least, most)
    roundings = _OF_PREDICTIONS if computed else _OF_RESPONSES
    largest = xp.maximum(xp.abs(least), xp.abs(most))
    return most - least <= roundings * float(xp.finfo(dtype).eps) * largest


def is_rounding(
    square: Floats, total: Floats, n: int, raw: Floats | float = 0.0
) -> NDArray[np.bool_]:
    r"""Which sums of squares about a mean are no more than rounding error.

    The counterpart of `is_silent` where only sums over stimuli are known. The difference
    :math:`\sum x^2 - (\sum x)^2 / n` has the rounding error of its first term, so a unit is silent
    where the difference is at most :math:`16 \, n \, \epsilon \sum x^2`. Where the values x were
    computed and then centred, they also keep the rounding error of what they were before, z, whose
    length is at most :math:`4096 \, \epsilon \, \|z\|`. Both in float64.

    Parameters
    ----------
    square : float array
        The difference, for each unit.
    total : float array
        Its first term.
    n : int
        How many numbers were summed.
    raw : float array, optional
        :math:`\sum z^2`, the sum of squares before centring.

    Returns
    -------
    bool array
        Which units are silent.
    """
    epsilon = np.finfo(np.float64).eps
    bound = _OF_RESPONSES * n * epsilon * total + (_OF_PREDICTIONS * epsilon) ** 2 * raw
    return np.asarray(square <= bound)


def check_scale(largest: float, where: str = "") -> None:
    """Refuse responses whose squares cannot be represented.

    Parameters
    ----------
    largest : float
        Greatest absolute value of a population.
    where : str
        Which population, for the message.

    Raises
    ------
    InputError
        If it is above 1e140, or below 1e-140 and not 0.
    """
    if largest > _LARGEST or 0 < largest < 1 / _LARGEST:
        what = "divide" if largest > 1 else "multiply"
        raise InputError(
            f"the largest response{where} is {largest:.3g}, and squares of such numbers are too "
            f"{'large' if largest > 1 else 'small'} for float64: {what} all responses by a number, "
            "as by changing their unit of measurement."
        )


def steady(values: Array) -> Array:
    """Make silent units exactly constant, so that no later step takes rounding for a response.

    Parameters
    ----------
    values : float array (n, p)
        Responses, as they were given.

    Returns
    -------
    float array (n, p)
        The same array where no unit is silent but for rounding.
    """
    xp = array_api.array_namespace(values)
    silent = is_silent(values)
    return xp.where(silent, values[:1], values) if bool(xp.any(silent)) else values


def centre(values: Array, computed: bool = False) -> tuple[Array, Array, Array]:
    """Centre columns.

    Parameters
    ----------
    values : float array (n, q)
        Responses to n stimuli.
    computed : bool
        As for `is_silent`.

    Returns
    -------
    mean : float array (q,)
        Mean of each column.
    centred : float array (n, q)
        The values less these means.
    length : float array (q,)
        Euclidean norm of each centred column; exactly 0 where `is_silent`.
    """
    mean, scaled, size, length = _centred(values, computed)
    return mean, scaled * size, length * size


def correlate(predicted: Array, observed: Array) -> NDArray[np.float64]:
    r"""Pearson correlation of each column.

    .. math:: r_j = \frac{\sum_i (\hat y_{ij} - \bar{\hat y}_j)(y_{ij} - \bar y_j)}
              {\|\hat y_j - \bar{\hat y}_j\| \, \|y_j - \bar y_j\|}

    Parameters
    ----------
    predicted, observed : arrays (n, q)
        Predictions and responses over the same stimuli.

    Returns
    -------
    float64 array (q,)
        0 where a prediction is constant (it explains nothing), NaN where a response is (there is
        nothing to explain).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    >>> correlate(x, 2 * x[:, [0, 0]] + 5).round(6).tolist()
    [1.0, 0.0]
    """
    xp = array_api.array_namespace(predicted, observed)
    _, a, _, a_length = _centred(predicted, computed=True)
    _, b, _, b_length = _centred(observed, computed=False)
    product = to_numpy(xp.sum(a * b, axis=0))
    lengths = to_numpy(a_length * b_length)
    r = np.divide(product, lengths, out=np.zeros(len(lengths)), where=lengths > 0)
    return np.where(to_numpy(b_length) > 0, np.clip(r, -1, 1), np.nan)


def correlate_resampled(
    predicted: Array, observed: Array, counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson correlation of each column, in resamples of the rows.

    Parameters
    ----------
    predicted, observed : arrays (n, q)
        Predictions and responses over the same stimuli.
    counts : float array (B, n)
        How often each stimulus counts, in each of B resamples.

    Returns
    -------
    float64 array (B, q)
        0 where a prediction is constant, NaN where a response is, as in `correlate`.
    """
    n = np.maximum(counts.sum(1, keepdims=True), 1e-300)
    sides = []
    for values, computed in ((predicted, True), (observed, False)):
        _, centred, _, length = map(to_numpy, _centred(values, computed))
        centred = np.where(length > 0, centred, 0.0)
        total = counts @ centred**2
        square = total - (counts @ centred) ** 2 / n
        varies = ~is_rounding(square, total, len(centred))
        sides.append((centred, np.sqrt(np.where(varies, square, 0.0))))
    (a, a_length), (b, b_length) = sides
    product = counts @ (a * b) - (counts @ a) * (counts @ b) / n
    lengths = a_length * b_length
    r = np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    return np.where(b_length > 0, np.clip(r, -1, 1), np.nan)


def to_numpy(values: Array) -> NDArray[Any]:
    """Copy values from a device, if they are on one, into a numpy array.

    Parameters
    ----------
    values : numpy array or torch tensor
        On any device.

    Returns
    -------
    numpy array
        Of the same shape and number type; no copy where the values are in main memory.
    """
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def double(values: Array) -> Array:
    """Convert values to float64.

    Parameters
    ----------
    values : float array
        Of any precision.

    Returns
    -------
    float64 array
        Of the same kind.
    """
    xp = array_api.array_namespace(values)
    return xp.astype(values, xp.float64)


def take(values: Array, rows: NDArray[np.intp]) -> Array:
    """Take some rows, in the order given.

    Parameters
    ----------
    values : array (n, ...)
        numpy or torch.
    rows : int array (m,)
        Positions; one may come several times.

    Returns
    -------
    array (m, ...)
        Of the same kind, on the same device.
    """
    xp = array_api.array_namespace(values)
    return xp.take(values, xp.asarray(rows, device=array_api.device(values)), axis=0)


def _centred(values: Array, computed: bool) -> tuple[Array, Array, Array, Array]:
    """Means; centred columns in units of their greatest value; these units; lengths in them.

    Squares of very large and of very small numbers cannot be represented, those of the scaled
    columns can. Lengths are 0 where `is_silent`.
    """
    xp = array_api.array_namespace(values)
    least, most = xp.min(values, axis=0), xp.max(values, axis=0)
    mean = xp.mean(values, axis=0)
    centred = values - mean
    rest = xp.mean(centred, axis=0)  # a large mean is rounded; this is what it lacks
    mean = mean + rest
    size = xp.maximum(most - mean, mean - least)
    size = xp.where(size > 0, size, 1.0)
    centred -= rest
    centred /= size
    length = xp.sqrt(xp.sum(centred**2, axis=0))
    silent = is_silent_range(least, most, values.dtype, computed)
    return mean, centred, size, xp.where(silent, 0.0, length)
