"""Design: the folds, resamples and shuffles of one set of stimuli."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .resampling import Resamples, Splits, draw_resamples
from .settings import Protocol

__all__ = ["Design"]


@dataclass(frozen=True, eq=False)
class Design:
    """Folds, resamples and shuffles of a set of stimuli.

    Attributes
    ----------
    splits : list of (train, test)
        Positions of the training and test stimuli of each fold.
    resamples : Resamples
        Which stimuli each resample draws, and which stimuli each shuffle exchanges.
    metrics : tuple of str or None
        Names of the metrics that use this design; None for all metrics.
    """

    splits: Splits
    resamples: Resamples
    metrics: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        protocol: Protocol,
        n_stimuli: int,
        groups: NDArray[Any] | None,
        places: NDArray[np.intp] | None = None,
    ) -> Design:
        """Draw the folds, resamples and shuffles of a protocol.

        Parameters
        ----------
        protocol : Protocol
            Folds, bootstrap and shuffle.
        n_stimuli : int
            Number of stimuli, which are sorted by name.
        groups : array (n_stimuli,) or None
            Group of each stimulus; groups stay together. None without groups.
        places : int array (n_stimuli,), optional
            Position of each stimulus in the order of the folds.

        Returns
        -------
        Design
            For all metrics.

        Raises
        ------
        InputError
            If there are too few stimuli for the folds, or groups are too large or unequal.
        """
        splits = protocol.folds.split(n_stimuli, groups, places)
        return cls(splits, draw_resamples(protocol.bootstrap, protocol.shuffle, splits, groups))

    def alone(self) -> Design:
        """Copy the design without resamples and shuffles."""
        return replace(
            self, resamples=replace(self.resamples, bootstrap=None, counts=None, orders=None)
        )

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.splits)

    @property
    def n_drawn(self) -> float:
        """Number of stimuli, or groups of them, that resamples draw from."""
        return float(self.resamples.n_drawn)

    @property
    def orders(self) -> Sequence[NDArray[np.intp] | None]:
        """Order of the stimuli in each round of fits: None for the data, then those of shuffles."""
        orders = self.resamples.orders
        return [None, *(() if orders is None else orders)]

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """Hash of the folds, resamples and shuffles, and settings of the bootstrap."""
        digest = hashlib.sha256()
        for train, test in self.splits:
            digest.update(np.concatenate([[len(train)], train, test]).astype("<i8").tobytes())
        for array in (self.resamples.counts, self.resamples.orders):
            digest.update(b"none" if array is None else array.astype("<f8").tobytes())
        bootstrap = self.resamples.bootstrap
        return {"drawn": digest.hexdigest(), "bootstrap": bootstrap and asdict(bootstrap)}
