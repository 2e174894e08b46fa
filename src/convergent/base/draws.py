"""Random draws that several packages need: halves of repeats, rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats

__all__ = ["first_half", "random_rotation"]


def first_half(recorded: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose a random half of the recorded repeats of each stimulus.

    The repeats of a stimulus are put in a random order, the same for all units (so that noise
    shared by units stays shared). Of those that were recorded, every second one in this order
    belongs to the first half.

    Parameters
    ----------
    recorded : bool array (stimulus, ..., repeat)
        Which responses were recorded.
    rng : numpy.random.Generator
        Draws the order, and whether the first half begins with the first or the second repeat.

    Returns
    -------
    bool array, of the shape of ``recorded``
        True for the responses of the first half.
    """
    n, repeats = recorded.shape[0], recorded.shape[-1]
    between = (1,) * (recorded.ndim - 2)
    order = np.argsort(rng.random((n, repeats)), axis=1).reshape(n, *between, repeats)
    shuffled = np.take_along_axis(recorded, order, axis=-1)
    rank = np.cumsum(shuffled, axis=-1) + rng.integers(0, 2, (n, *between, 1))
    half = np.empty_like(recorded)
    chosen = shuffled & (rank % 2 == 0)
    np.put_along_axis(half, np.broadcast_to(order, recorded.shape), chosen, axis=-1)
    return half


def random_rotation(size: int, rng: np.random.Generator) -> Floats:
    """Draw a rotation or reflection (size, size), uniformly from all of them.

    Parameters
    ----------
    size : int
        Number of dimensions.
    rng : numpy.random.Generator
        Draws it.

    Returns
    -------
    float64 array (size, size)
        Orthogonal matrix.
    """
    rotation, upper = np.linalg.qr(rng.standard_normal((size, size)))
    return np.asarray(rotation * np.sign(np.diagonal(upper)))
