"""Random draws that several rooms need: halves of repeats, rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats

__all__ = ["first_half", "random_rotation"]


def first_half(recorded: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose a random half of the recorded repeats of each stimulus.

    Repeats are put in a random order, one for each stimulus and common to its units (so that
    noise shared by units stays shared). Those that were recorded are then dealt alternately to
    the two halves.

    Parameters
    ----------
    recorded : bool array (stimulus, ..., repeat)
        Which responses were recorded.
    rng : numpy.random.Generator
        Source of the random order, and of which half is dealt to first.

    Returns
    -------
    bool array, the shape of ``recorded``
        True for the responses of the first half.
    """
    n, repeats = recorded.shape[0], recorded.shape[-1]
    between = (1,) * (recorded.ndim - 2)
    order = np.argsort(rng.random((n, repeats)), axis=1).reshape(n, *between, repeats)
    shuffled = np.take_along_axis(recorded, order, axis=-1)
    rank = np.cumsum(shuffled, axis=-1) + rng.integers(0, 2, (n, *between, 1))
    half = np.empty_like(recorded)
    dealt = shuffled & (rank % 2 == 0)
    np.put_along_axis(half, np.broadcast_to(order, recorded.shape), dealt, axis=-1)
    return half


def random_rotation(size: int, rng: np.random.Generator, columns: int | None = None) -> Floats:
    r"""Draw a rotation (or reflection), uniformly from all orthogonal matrices.

    It is Q of the decomposition :math:`Z = Q R` of a matrix of Gaussian numbers, with the signs
    that make the diagonal of R positive. Without that choice of signs Q would not be uniform.

    Parameters
    ----------
    size : int
        Dimension of the space.
    rng : numpy.random.Generator
        Source of the Gaussian numbers.
    columns : int, optional
        How many columns of the rotation to draw; all of them by default.

    Returns
    -------
    float array (size, columns)
        Orthonormal columns.

    References
    ----------
    Mezzadri 2007, "How to generate random matrices from the classical compact groups", Notices of
    the American Mathematical Society 54.
    """
    turn, upper = np.linalg.qr(rng.standard_normal((size, size if columns is None else columns)))
    return np.asarray(turn * np.sign(np.diagonal(upper)))
