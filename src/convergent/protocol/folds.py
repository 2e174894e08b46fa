"""How stimuli are split for cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from ..base.arguments import as_list, as_seed, as_whole
from ..base.errors import InputError, quoted

__all__ = ["Folds", "check_folds"]

_LEAST_TEST_STIMULI = 3  # a correlation over fewer says nothing
_ONE_EACH = "an array with one for each stimulus"
_LARGEST_GROUP = 1.5  # folds; a larger group would make the folds too unequal


@dataclass(frozen=True)
class Folds:
    """How the stimuli are split: each is predicted once, by maps fitted without it.

    Parameters
    ----------
    n : int
        Number of folds.
    seed : int
        Seed of the random split of the stimuli, which are first sorted by name.
    group : str, optional
        A coordinate along ``stimulus`` (category, photo, session): stimuli with the same value are
        in the same fold. By default each stimulus stands for itself, or, where stimuli are
        positions of images, the positions of an image are in the same fold.
    order : str, optional
        For stimuli that follow each other in time: a numeric coordinate along ``stimulus`` (onset),
        or ``"name"`` for the order of their names, in which numbers count (``t2`` before ``t10``).
        Each fold then holds stimuli, or groups of them, that follow each other, and `seed` decides
        nothing. Responses to neighbouring stimuli are alike, so stimuli that are held out at random
        could be predicted from their neighbours.

    Raises
    ------
    InputError
        If a number is out of its range, or `group` or `order` is no name.

    Examples
    --------
    >>> import convergent as cv
    >>> [test.tolist() for train, test in cv.Folds(3, seed=0).split(9)]
    [[1, 2, 7], [4, 6, 8], [0, 3, 5]]
    >>> [test.tolist() for train, test in cv.Folds(3, order="name").split(9)]
    [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    """

    n: int = 5
    seed: int = 0
    group: str | None = None
    order: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", as_whole("folds", self.n, 2))
        object.__setattr__(self, "seed", as_seed(self.seed))
        if not (self.group is None or isinstance(self.group, str)):
            raise InputError(
                f"Folds(group={quoted(self.group)}): group is the name of a coordinate along "
                "'stimulus', such as 'category'."
            )
        if not (self.order is None or isinstance(self.order, str)):
            raise InputError(
                f"Folds(order={quoted(self.order)}): order is 'name', or the name of a numeric "
                "coordinate along 'stimulus', such as 'onset'."
            )

    def split(
        self,
        n_stimuli: int,
        groups: NDArray[Any] | None = None,
        places: NDArray[np.intp] | None = None,
    ) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Positions of the training and test stimuli of each fold.

        Parameters
        ----------
        n_stimuli : int
            Number of stimuli, sorted by name.
        groups : array (n_stimuli,), optional
            Group of each stimulus; a group is in one fold.
        places : int array (n_stimuli,), optional
            Position of each stimulus in the `order` of the folds; by default, as they are.

        Returns
        -------
        list of (int array, int array)
            Training and test stimuli of each fold; with `order`, in this order.

        Raises
        ------
        InputError
            If the stimuli are too few, or a group is too large, for so many folds.
        """
        n_stimuli = as_whole("n_stimuli", n_stimuli)
        for name, given in (("groups", groups), ("places", places)):
            if given is not None and len(as_list(name, given, _ONE_EACH)) != n_stimuli:
                raise InputError(f"{len(given)} {name} for {n_stimuli} stimuli: give one of each.")
        if n_stimuli // self.n < _LEAST_TEST_STIMULI:
            raise InputError(
                f"{n_stimuli} stimuli cannot be split in {self.n} folds: each needs at least "
                f"{_LEAST_TEST_STIMULI} test stimuli. Use fewer folds, or more stimuli."
            )
        in_order = np.arange(n_stimuli) if places is None else np.argsort(places, kind="stable")
        if groups is None:
            return self._parts(in_order)
        names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        largest, usual = int(sizes.argmax()), n_stimuli / self.n
        if len(names) < self.n or sizes[largest] > _LARGEST_GROUP * usual:
            raise InputError(
                f"{self._grouped_by!r} has {len(names)} groups, the largest "
                f"{str(names[largest])!r} with {sizes[largest]} of {n_stimuli} stimuli; one of "
                f"{self.n} folds holds {usual:.0f}. Use fewer folds, or finer groups."
            )
        of_groups = np.arange(len(names))
        if self.order is not None:  # by their first stimulus
            of_groups = member[in_order][np.sort(np.unique(member[in_order], return_index=True)[1])]
        splits = [
            (in_order[np.isin(member[in_order], train)], in_order[np.isin(member[in_order], test)])
            for train, test in self._parts(of_groups)
        ]
        fewest = min(len(test) for _, test in splits)
        if fewest < _LEAST_TEST_STIMULI:
            raise InputError(
                f"with the groups of {self._grouped_by!r}, one of {self.n} folds has {fewest} test "
                f"stimuli, and each needs at least {_LEAST_TEST_STIMULI}: use "
                "fewer folds, or another seed."
            )
        return splits

    def _parts(self, things: NDArray[np.intp]) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Divide stimuli or groups: at random, or in parts of those that follow each other."""
        if self.order is None:
            folds = KFold(self.n, shuffle=True, random_state=self.seed)
        else:
            folds = KFold(self.n)
        return [(things[train], things[test]) for train, test in folds.split(things)]

    @property
    def _grouped_by(self) -> str:
        return self.group or "image"  # positions


def check_folds(folds: object) -> None:
    """Make sure that a setting is a `Folds`, and not a number of folds.

    Parameters
    ----------
    folds : object
        The setting.

    Raises
    ------
    InputError
        If it is something else.
    """
    if not isinstance(folds, Folds):
        raise InputError(
            f"folds is {quoted(folds)}: give Folds(n, seed=..., group=...), such as Folds(5)."
        )
