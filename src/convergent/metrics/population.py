"""One population, read once: its geometry serves every fold, metric, penalty and partner.

Ridge and Procrustes see a population only through the inner products of its responses. With n
stimuli and p units, p > n, these are an n x n matrix G. The centred G of a fold's training
stimuli, U S^2 U', gives the training responses in their principal axes, U S, and any test
response x in the same axes, x V = (x X' U) / S, without V ever being formed. Where p <= n the
axes come from the responses themselves. Either way the maths is exact and the small side pays.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import array_api_compat as array_api
import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..base.allocator import return_freed_memory
from ..base.arrays import Array, centre, double, take
from ..base.devices import on_device
from ..base.errors import InputError

__all__ = [
    "BLOCK_BYTES",
    "SHORTEST_FROM_GRAM",
    "SHORTEST_FROM_UNITS",
    "SLAB_BYTES",
    "SMALL_BYTES",
    "Coordinates",
    "Population",
    "PopulationFold",
]

BLOCK_BYTES = 16 * 2**20  # of float64 values converted in one go
SMALL_BYTES = 64 * 2**20  # of float64 values that are handled whole
SLAB_BYTES = 128 * 2**20  # read from disk at once, at the most

# Axes shorter than these, relative to the longest, are rounding error: eigenvalues of a Gram matrix
# are squares, so half of the digits are lost there.
SHORTEST_FROM_GRAM = 1e-6
SHORTEST_FROM_UNITS = 1e-12


@dataclass(frozen=True, eq=False)
class Coordinates:
    """A population in the principal axes of the training stimuli of one fold.

    Attributes
    ----------
    left : array (n_train, r)
        Orthonormal columns U; the training responses are ``left * singular``.
    singular : array (r,)
        Length of the training responses along each axis, longest first.
    test : array (n_test, r)
        The test responses along the same axes, less the training mean.
    test_norm : float
        Norm of the test responses less the training mean, with what lies outside the axes.
    """

    left: Array
    singular: Array
    test: Array
    test_norm: float

    @property
    def train(self) -> Array:
        """Training responses along the axes, (n_train, r)."""
        return self.left * self.singular


class Population:
    """Responses of p units to n stimuli, as bare numbers.

    Parameters
    ----------
    values : array (n, p)
        numpy, torch or dask; float. Complete: no NaN. What is on disk (dask) is read in blocks,
        each time that it is needed.
    device : str, optional
        Where torch is to compute; as the values are where left out.
    """

    def __init__(self, values: Array, device: str | None = None) -> None:
        if values.ndim != 2:
            raise InputError(f"a population is stimuli x units; found {values.ndim} axes.")
        self.n_stimuli, self.n_units = (int(size) for size in values.shape)
        self.on_disk = hasattr(values, "compute")
        self._device = device
        self._last: tuple[slice, Array] | None = None
        self.values = values if self.on_disk else on_device(values, device)

    def blocks(self, rows: NDArray[np.intp] | None = None) -> Iterator[Array]:
        """Float64 responses (n, b), a block of units at a time, to all stimuli or to ``rows``."""
        width = max(1, BLOCK_BYTES // (8 * self.n_stimuli))
        for whole in self._chunks():
            for start in range(0, whole.shape[1], width):
                block = whole[:, start : start + width]
                yield double(block if rows is None else take(block, rows))

    def columns(
        self, columns: slice | NDArray[np.intp], rows: NDArray[np.intp] | None = None
    ) -> Array:
        """Float64 responses (n, b) of some units, to all stimuli or to ``rows``."""
        if self.on_disk or isinstance(columns, slice) or rows is None:
            block = self._columns_on_disk(columns) if self.on_disk else self.values[:, columns]
            return double(block if rows is None else take(block, rows))
        return double(self.values[rows[:, None], columns])

    def _chunks(self) -> Iterator[Array]:
        """All units, as they are read: at once, or by the chunks on disk, each of them once."""
        if not self.on_disk:
            yield self.values
            return
        slices = self._slabs
        with ThreadPoolExecutor(1) as pool:  # the next is read while one is worked on
            upcoming = pool.submit(self._read, slices[0])
            for following in [*slices[1:], None]:
                chunk = upcoming.result()
                if following is not None:
                    upcoming = pool.submit(self._read, following)
                yield chunk

    @cached_property
    def _slabs(self) -> list[slice]:
        """Units that are read from disk at once: what chunks hold, unless that is very much."""
        most = max(1, SLAB_BYTES // (self.values.dtype.itemsize * self.n_stimuli))
        slabs, first = [], 0
        for width in self.values.chunks[1]:
            slabs += [
                slice(start, min(start + most, first + width))
                for start in range(first, first + width, most)
            ]
            first += width
        return slabs

    def _columns_on_disk(self, columns: slice | NDArray[np.intp]) -> Array:
        """Some units; those of one slab after the other are served from the last one read."""
        wanted = np.arange(self.n_units)[columns]
        for slab in self._slabs if len(wanted) else ():
            if slab.start <= wanted[0] and wanted.min() >= slab.start and wanted.max() < slab.stop:
                if self._last is None or self._last[0] != slab:
                    self._last = slab, self._read(slab)
                return self._last[1][:, wanted - slab.start]
        return self._read(columns)

    def _read(self, columns: slice | NDArray[np.intp]) -> Array:
        """Responses of some units to all stimuli, from disk."""
        try:
            block = self.values[:, columns].compute(scheduler="threads")
        except (RuntimeError, OSError, ValueError) as error:
            raise InputError(
                f"the responses cannot be read from disk ({error}): the file is damaged or cut "
                "short; make or copy it anew."
            ) from error
        return on_device(_complete(block), self._device)  # not looked at before

    @cached_property
    def gram(self) -> Array:
        """Inner products (n, n) of the responses, each unit centred over all stimuli."""
        total: Array = None
        for block in self.blocks():
            xp = array_api.array_namespace(block)
            block = block - xp.mean(block, axis=0)
            if total is None:
                total = block @ block.T
            elif array_api.is_torch_array(total):
                total.addmm_(block, block.T)  # without a second matrix
            else:
                total += block @ block.T
        return _complete(total)

    def fold(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> PopulationFold:
        """The population as one fold shows it.

        Parameters
        ----------
        train, test : int arrays
            Positions of the fold's stimuli.
        """
        return PopulationFold(self, train, test)


@dataclass(frozen=True, eq=False)
class PopulationFold:
    """A population under one split of the stimuli; what is derived from it is computed once."""

    population: Population
    train: NDArray[np.intp]
    test: NDArray[np.intp]

    @cached_property
    def coordinates(self) -> Coordinates:
        """Responses in the principal axes of the training stimuli."""
        # singular vectors of n x p take many times longer than eigenvectors of n x n, unless p << n
        if 2 * self.population.n_units > self.population.n_stimuli:
            return self._from_gram()
        return self._from_units()

    @property
    def small(self) -> bool:
        """Whether the responses are few enough to be handled whole."""
        return 8 * self.population.n_stimuli * self.population.n_units <= SMALL_BYTES

    @property
    def responses(self) -> tuple[Array, Array]:
        """Float64 responses to training and test stimuli, less the training mean; not held."""
        return self._centred(self.population.columns(slice(0, self.population.n_units)))

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """The same, a block of units at a time: (n_train, b) and (n_test, b)."""
        if self.small:
            yield self.responses
        else:
            yield from map(self._centred, self.population.blocks())

    @cached_property
    def variation(self) -> tuple[Array, Array]:
        """Mean of each unit over the training stimuli, and its length about it; 0 if silent."""
        parts = [centre(block) for block in self.population.blocks(self.train)]
        xp = array_api.array_namespace(parts[0][0])
        return xp.concat([part[0] for part in parts]), xp.concat([part[2] for part in parts])

    def reordered(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> PopulationFold:
        """The same stimuli in another order, with what was derived from them.

        Parameters
        ----------
        train, test : int arrays
            Which of the training (and test) stimuli takes each place, as positions among them.
        """
        other = PopulationFold(self.population, self.train[train], self.test[test])
        axes = self.coordinates
        vars(other)["coordinates"] = Coordinates(
            take(axes.left, train), axes.singular, take(axes.test, test), axes.test_norm
        )
        return other

    def expand(self, values: Array) -> Array:
        """Turn coordinates (m, r) back into responses of units (m, p), less the training mean."""
        weights = self.of_training(values)
        parts = [weights @ train for train, _ in self.blocks()]
        return array_api.array_namespace(weights).concat(parts, axis=1)

    def of_training(self, values: Array) -> Array:
        """Turn coordinates (m, r) into weights (m, n_train) of the training responses."""
        axes = self.coordinates
        return (values / axes.singular) @ axes.left.T

    def _centred(self, block: Array) -> tuple[Array, Array]:
        train, test = take(block, self.train), take(block, self.test)
        xp = array_api.array_namespace(train)
        mean = xp.mean(train, axis=0)
        train = train - mean
        rest = xp.mean(train, axis=0)  # rounding, of large means
        return train - rest, test - mean - rest

    def _from_gram(self) -> Coordinates:
        inner, across, test_square = self._inner_products()
        xp = array_api.array_namespace(inner)
        if self.population.on_disk:  # what follows takes most memory of all
            return_freed_memory()
        squares, left = _eigh(inner)
        squares, left = xp.flip(squares, axis=0), xp.flip(left, axis=1)
        rank = int(xp.sum(squares > squares[0] * SHORTEST_FROM_GRAM**2)) if squares[0] > 0 else 0
        # products with a view that runs backwards would copy it each time
        left, singular = xp.asarray(left[:, :rank], copy=True), xp.sqrt(squares[:rank])
        return Coordinates(left, singular, (across @ left) / singular, test_square**0.5)

    def _inner_products(self) -> tuple[Array, Array, float]:
        """Of training with training and of test with training responses, and all test squares.

        All less the training mean.
        """
        gram = self.population.gram
        xp = array_api.array_namespace(gram)
        train, test = (
            xp.asarray(part, device=array_api.device(gram)) for part in (self.train, self.test)
        )
        inner, across = gram[train[:, None], train], gram[test[:, None], train]
        train_mean = xp.mean(inner, axis=0)
        grand_mean = xp.mean(train_mean)
        test_mean = xp.mean(across, axis=1)
        inner -= train_mean
        inner -= (train_mean - grand_mean)[:, None]
        across = across - train_mean - test_mean[:, None] + grand_mean
        own = xp.linalg.diagonal(gram)[test] - 2 * test_mean + grand_mean
        return inner, across, float(xp.sum(xp.clip(own, min=0.0)))

    def _from_units(self) -> Coordinates:
        train, test = self.responses
        xp = array_api.array_namespace(train)
        left, singular, right = xp.linalg.svd(train, full_matrices=False)
        rank = int(xp.sum(singular > singular[0] * SHORTEST_FROM_UNITS)) if singular[0] > 0 else 0
        rank = min(rank, len(self.train) - 1)  # centred: the last axis can be rounding alone
        test_norm = float(xp.sum(test**2)) ** 0.5
        return Coordinates(left[:, :rank], singular[:rank], test @ right[:rank].T, test_norm)


def _eigh(values: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of a symmetric matrix, which is overwritten where it can be."""
    if isinstance(values, np.ndarray):
        # the transpose is the same matrix in the order that LAPACK works in
        found = scipy.linalg.eigh(values.T, overwrite_a=True, check_finite=False, driver="evd")
        return found[0], found[1]
    squares, left = array_api.array_namespace(values).linalg.eigh(values)
    return squares, left


def _complete(values: Array) -> Array:
    xp = array_api.array_namespace(values)
    if not bool(xp.all(xp.isfinite(values))):
        raise InputError(
            "the responses hold NaN or infinite values: a population must be complete. Keep the "
            "units (or stimuli) that were recorded throughout, with .data.dropna('unit')."
        )
    return values
