"""How stimuli are split for cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from ..base.errors import InputError

__all__ = ["LARGEST_GROUP", "LEAST_TEST_STIMULI", "Folds", "check_folds"]

LEAST_TEST_STIMULI = 3  # a correlation over fewer says nothing
LARGEST_GROUP = 1.5  # folds; a larger group would leave the folds too unequal


@dataclass(frozen=True)
class Folds:
    """How the stimuli are split: each is predicted once, by maps fitted without it.

    Parameters
    ----------
    n : int
        Number of folds.
    seed : int
        Draws them, over the stimuli sorted by name.
    group : str, optional
        A coordinate along ``stimulus`` (category, photo, session) whose values stay together.
        Where stimuli are positions of images, these stay together where it is left out.
    """

    n: int = 5
    seed: int = 0
    group: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("n", 2), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < least:
                raise InputError(
                    f"Folds({name}={value!r}): {name} is a whole number from {least} up."
                )

    def split(
        self, n_stimuli: int, groups: NDArray[Any] | None = None
    ) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Positions of the training and test stimuli of each fold.

        Parameters
        ----------
        n_stimuli : int
            Number of stimuli, sorted by name.
        groups : array (n_stimuli,), optional
            What stays together.

        Raises
        ------
        InputError
            Where the stimuli are too few, or a group is too large, for so many folds.
        """
        if n_stimuli // self.n < LEAST_TEST_STIMULI:
            raise InputError(
                f"{n_stimuli} stimuli cannot be split in {self.n} folds: each needs at least "
                f"{LEAST_TEST_STIMULI} test stimuli. Use fewer folds, or more stimuli."
            )
        folds = KFold(self.n, shuffle=True, random_state=self.seed)
        if groups is None:
            return list(folds.split(np.arange(n_stimuli)))
        names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        largest, room = int(sizes.argmax()), n_stimuli / self.n
        if len(names) < self.n or sizes[largest] > LARGEST_GROUP * room:
            raise InputError(
                f"{self._kept_whole!r} has {len(names)} groups, the largest "
                f"{str(names[largest])!r} with {sizes[largest]} of {n_stimuli} stimuli; one of "
                f"{self.n} folds holds {room:.0f}. Use fewer folds, or finer groups."
            )
        splits = [
            (np.flatnonzero(np.isin(member, train)), np.flatnonzero(np.isin(member, test)))
            for train, test in folds.split(names)
        ]
        fewest = min(len(test) for _, test in splits)
        if fewest < LEAST_TEST_STIMULI:
            raise InputError(
                f"with the groups of {self._kept_whole!r}, one of {self.n} folds has {fewest} test "
                f"stimuli, and each needs at least {LEAST_TEST_STIMULI}: use "
                "fewer folds, or another seed."
            )
        return splits

    @property
    def _kept_whole(self) -> str:
        return self.group or "image"  # positions


def check_folds(folds: object) -> None:
    """Make sure that folds are such, and not their number."""
    if not isinstance(folds, Folds):
        raise InputError(
            f"folds is {folds!r}: give Folds(n, seed=..., group=...), such as Folds(5)."
        )
