"""Random draws that several rooms need: halves of repeats, rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats

__all__ = ["first_half", "random_rotation"]


def first_half(recorded: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose a random half of the recorded repeats of each stimulus.

    Repeats are put in a random order, one for each stimulus and common to its units (so that
    noise shared by units stays shared), and those recorded are dealt alternately.

    Parameters
    ----------
    recorded : bool array (stimulus, ..., repeat)
        Which responses are there.
    rng : numpy.random.Generator
        Draws the order, and which half is dealt to first.

    Returns
    -------
    bool array, the shape of ``recorded``
        True for the responses of the first half.
    """
    n, repeats = recorded.shape[0], recorded.shape[-1]
    between = (1,) * (recorded.ndim - 2)
    order = np.argsort(rng.random((n, repeats)), axis=1).reshape(n, *between, repeats)
    shuffled = np.take_along_axis(recorded, order, axis=-1)
    place = np.cumsum(shuffled, axis=-1) + rng.integers(0, 2, (n, *between, 1))
    half = np.empty_like(recorded)
    dealt = shuffled & (place % 2 == 0)
    np.put_along_axis(half, np.broadcast_to(order, recorded.shape), dealt, axis=-1)
    return half


def random_rotation(size: int, rng: np.random.Generator) -> Floats:
    """A rotation or reflection (size, size), uniform over all of them."""
    turn, upper = np.linalg.qr(rng.standard_normal((size, size)))
    return np.asarray(turn * np.sign(np.diagonal(upper)))
