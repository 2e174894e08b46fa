"""One population, read once: its geometry serves every fold, metric, penalty and partner.

Ridge and Procrustes see a population only through the inner products of its responses. With n
stimuli and p units, p > n, these are an n x n matrix G. The centred G of a fold's training
stimuli, U S^2 U', gives the training responses in their principal axes, U S, and any test
response x in the same axes, x V = (x X' U) / S, without V ever being formed. Where p <= n the
axes come from the responses themselves. Either way the maths is exact, and the cost is that of the
smaller of n and p. The eigenvalues of G are squares, so that half of the digits are lost: where
units are of very unequal scale, and short axes matter, the axes come from the responses as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import array_api_compat as array_api
import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..base.allocator import return_freed_memory
from ..base.arrays import (
    Array,
    centre,
    check_scale,
    double,
    is_silent_range,
    steady,
    take,
    to_numpy,
)
from ..base.devices import on_device
from ..base.errors import InputError

__all__ = [
    "BLOCK_BYTES",
    "SMALL_BYTES",
    "Coordinates",
    "Population",
    "PopulationFold",
    "graded_svd",
]

BLOCK_BYTES = 16 * 2**20  # of float64 values converted in one go
SMALL_BYTES = 64 * 2**20  # of float64 values that are handled whole
_SLAB_BYTES = 128 * 2**20  # read from disk at once, at the most

# Axes shorter than these, relative to the longest, are rounding error: eigenvalues of a Gram matrix
# are squares, so half of the digits are lost there.
_SHORTEST_FROM_GRAM = 1e-6
_SHORTEST_FROM_UNITS = 1e-12
_EXACT_FROM_GRAM = 1e-4  # longer axes have eight digits or more
_UNEQUAL = 1e3  # the largest unit over the smallest, from where on short axes are those of units


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
        Norm of the test responses less the training mean, including their part outside the axes.
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
    """Responses of p units to n stimuli, without names.

    Parameters
    ----------
    values : float array (n, p)
        numpy, torch or dask. Complete: no NaN, nothing infinite. A dask array is read in blocks,
        each time that it is needed, and checked as it is read.
    device : str, optional
        Device of the computation: ``"cpu"``, ``"cuda"``; by default, where the values are.

    Raises
    ------
    InputError
        If the values are not a float array with two axes, or not complete.

    Examples
    --------
    >>> import numpy as np
    >>> population = Population(np.random.default_rng(0).standard_normal((60, 200)))
    >>> fold = population.fold(np.arange(48), np.arange(48, 60))  # training and test stimuli
    >>> fold.coordinates.train.shape
    (48, 47)
    """

    def __init__(self, values: Array, device: str | None = None) -> None:
        _check_kind(values)
        self.n_stimuli, self.n_units = (int(size) for size in values.shape)
        self.on_disk = bool(array_api.is_dask_array(values))
        self._device = device
        self._last: tuple[slice, Array] | None = None
        self.values = values if self.on_disk else _complete(on_device(values, device))

    def blocks(self, rows: NDArray[np.intp] | None = None) -> Iterator[Array]:
        """Read all units, a block of them at a time.

        Parameters
        ----------
        rows : int array (m,), optional
            Positions of the stimuli; all by default.

        Yields
        ------
        float64 array (m, b)
            Responses; exactly constant where a unit is silent over these stimuli.
        """
        return (_read_out(block, rows) for block in self._given_blocks())

    def columns(
        self, columns: slice | NDArray[np.intp], rows: NDArray[np.intp] | None = None
    ) -> Array:
        """Read some units.

        Parameters
        ----------
        columns : slice, or int array (b,)
            Positions of the units.
        rows : int array (m,), optional
            Positions of the stimuli; all by default.

        Returns
        -------
        float64 array (m, b)
            Responses; exactly constant where a unit is silent over these stimuli.
        """
        if self.on_disk or isinstance(columns, slice) or rows is None:
            return _read_out(self._given(columns), rows)
        return _read_out(self.values[rows[:, None], columns])

    def fold(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> PopulationFold:
        """Split the stimuli.

        Parameters
        ----------
        train, test : int arrays
            Positions of the training and of the test stimuli.

        Returns
        -------
        PopulationFold
            The population under this split.

        Raises
        ------
        InputError
            If these are not arrays of positions. Positions beyond the last stimulus are noticed
            when a metric is fitted.
        """
        for name, part in (("train", train), ("test", test)):
            _check_positions(name, part)
        return PopulationFold(self, train, test)

    def whole(self) -> PopulationFold:
        """Use every stimulus for training and for test, for measures that hold none out.

        Returns
        -------
        PopulationFold
            The population under this split.
        """
        everything = np.arange(self.n_stimuli)
        return PopulationFold(self, everything, everything)

    @cached_property
    def gram(self) -> Array:
        """Inner products (n, n) of the responses, each unit centred over all stimuli."""
        total: Array = None
        for block in self.blocks():
            xp = array_api.array_namespace(block)
            block = block - block[:1]  # silent units are then exactly 0
            block -= xp.mean(block, axis=0)
            if total is None:
                total = block @ block.T
            elif array_api.is_torch_array(total):
                total.addmm_(block, block.T)  # without a second matrix
            else:
                total += block @ block.T
        return total

    @cached_property
    def unequal(self) -> bool:
        """Whether units are of very unequal scale; reads them once more."""
        lengths = np.concatenate([to_numpy(centre(block)[2]) for block in self.blocks()])
        return bool(lengths.max() > _UNEQUAL * lengths[lengths > 0].min(initial=np.inf))

    @cached_property
    def axes(self) -> tuple[Array, Array]:
        """Principal axes of all responses: orthonormal columns (n, r), and lengths (r,)."""
        found = self.whole().coordinates
        return found.left, found.singular

    @cached_property
    def cosines(self) -> Array:
        """Cosines (n, n) between the responses to stimuli; 0 for stimuli without any response."""
        inner = sum(block @ block.T for block in self.blocks())
        return _cosines(inner, array_api.array_namespace(inner).linalg.diagonal(inner) == 0)

    @cached_property
    def correlations(self) -> Array:
        """Pearson correlations (n, n) over units; 0 for stimuli to which all respond alike."""
        total: Array = 0.0
        bounds = []
        for block in self._given_blocks():
            xp = array_api.array_namespace(block)
            total = total + xp.sum(double(block), axis=1)
            bounds.append((xp.min(block, axis=1), xp.max(block, axis=1)))
        least, most = (xp.stack(each) for each in zip(*bounds, strict=True))
        flat = is_silent_range(xp.min(least, axis=0), xp.max(most, axis=0), least.dtype)
        centred = (block - total[:, None] / self.n_units for block in self.blocks())
        return _cosines(sum(block @ block.T for block in centred), flat)

    def _given(self, columns: slice | NDArray[np.intp]) -> Array:
        """Responses (n, b) of some units, in the number type in which they were given."""
        return self._columns_on_disk(columns) if self.on_disk else self.values[:, columns]

    def _given_blocks(self) -> Iterator[Array]:
        """The same of all units, a block (n, b) at a time."""
        width = max(1, BLOCK_BYTES // (8 * self.n_stimuli))
        for chunk in self._chunks():
            for start in range(0, chunk.shape[1], width):
                yield chunk[:, start : start + width]

    def _chunks(self) -> Iterator[Array]:
        """All units as they are read: at once, or by the chunks on disk, each of them once."""
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
        """Units that are read from disk at once: one chunk, or part of it where it is large."""
        most = max(1, _SLAB_BYTES // (self.values.dtype.itemsize * self.n_stimuli))
        slabs, first = [], 0
        for width in self.values.chunks[1]:
            slabs += [
                slice(start, min(start + most, first + width))
                for start in range(first, first + width, most)
            ]
            first += width
        return slabs

    def _columns_on_disk(self, columns: slice | NDArray[np.intp]) -> Array:
        """Some units; if they all lie in the slab that was read last, it is not read again."""
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
        except InputError:  # of a store, which says more
            raise
        except (RuntimeError, OSError, ValueError) as error:
            raise InputError(
                f"the responses cannot be read from disk ({error}): the file is damaged or cut "
                "short; write or copy it again."
            ) from error
        return on_device(_complete(block), self._device)


@dataclass(frozen=True, eq=False)
class PopulationFold:
    """A population under one split of the stimuli; what is derived from it is computed once.

    Attributes
    ----------
    population : Population
        Responses to all stimuli.
    train, test : int arrays
        Positions of the training and of the test stimuli.
    """

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
        """Float64 responses to training and test stimuli, less the training mean; not cached."""
        return self._centred(self.population._given(slice(0, self.population.n_units)))

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Read the `responses`, a block of units at a time.

        Yields
        ------
        train : float64 array (n_train, b)
            Responses to the training stimuli, less their mean.
        test : float64 array (n_test, b)
            Responses to the test stimuli, less the training mean.
        """
        if self.small:
            yield self.responses
        else:
            yield from map(self._centred, self.population._given_blocks())

    @cached_property
    def variation(self) -> tuple[Array, Array]:
        """Mean of each unit over the training stimuli, and its length about it; 0 if silent."""
        parts = [centre(block) for block in self.population.blocks(self.train)]
        xp = array_api.array_namespace(parts[0][0])
        return xp.concat([part[0] for part in parts]), xp.concat([part[2] for part in parts])

    def reordered(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> PopulationFold:
        """Put the same stimuli in another order; the geometry is reordered, not computed again.

        Parameters
        ----------
        train, test : int arrays
            Which of the training (and test) stimuli takes each place, as positions among them.

        Returns
        -------
        PopulationFold
            The population under the reordered split.
        """
        other = PopulationFold(self.population, self.train[train], self.test[test])
        axes = self.coordinates
        vars(other)["coordinates"] = Coordinates(
            take(axes.left, train), axes.singular, take(axes.test, test), axes.test_norm
        )
        return other

    def expand(self, values: Array) -> Array:
        """Turn coordinates back into responses of units.

        Parameters
        ----------
        values : array (m, r)
            Along the principal axes.

        Returns
        -------
        float64 array (m, p)
            Responses less the training mean.
        """
        weights = self.of_training(values)
        parts = [weights @ train for train, _ in self.blocks()]
        return array_api.array_namespace(weights).concat(parts, axis=1)

    def of_training(self, values: Array) -> Array:
        """Turn coordinates into weights of the training responses.

        Parameters
        ----------
        values : array (m, r)
            Along the principal axes.

        Returns
        -------
        array (m, n_train)
            Their products with the training responses (n_train, p) are responses of units.
        """
        axes = self.coordinates
        return (values / axes.singular) @ axes.left.T

    def _centred(self, given: Array) -> tuple[Array, Array]:
        """Responses of some units less their training mean, from responses to all stimuli."""
        train, test = _read_out(given, self.train), _read_out(given, self.test)
        origin = train[:1]  # large means would cost digits; silent units are then exactly 0
        train = train - origin
        mean = array_api.array_namespace(train).mean(train, axis=0)
        return train - mean, test - origin - mean

    def _from_gram(self) -> Coordinates:
        inner, across, test_square = self._inner_products()
        xp = array_api.array_namespace(inner)
        if self.population.on_disk:  # what follows takes most memory of all
            return_freed_memory()
        squares, left = _eigh(inner)
        squares, left = xp.flip(squares, axis=0), xp.flip(left, axis=1)
        last = min(len(self.train) - 1, self.population.n_units) - 1
        short = last > 0 and squares[last] < squares[0] * _EXACT_FROM_GRAM**2
        if short and self.small and self.population.unequal:
            return self._from_units()
        rank = int(xp.sum(squares > squares[0] * _SHORTEST_FROM_GRAM**2)) if squares[0] > 0 else 0
        # products with a reversed view would copy it each time
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
        # from the largest unit to the smallest: small ones then keep their digits
        order = xp.argsort(-xp.linalg.vector_norm(train, axis=0), stable=True)
        train, test = xp.take(train, order, axis=1), xp.take(test, order, axis=1)
        left, singular, right = xp.linalg.svd(train, full_matrices=False)
        if singular[-1] < singular[0] * _EXACT_FROM_GRAM and self.population.unequal:
            left, singular, right = graded_svd(train)
        rank = int(xp.sum(singular > singular[0] * _SHORTEST_FROM_UNITS)) if singular[0] > 0 else 0
        rank = min(rank, len(self.train) - 1)  # centred: the last axis can be rounding alone
        test_norm = float(xp.sum(test**2)) ** 0.5
        return Coordinates(left[:, :rank], singular[:rank], test @ right[:rank].T, test_norm)


def graded_svd(values: Array) -> tuple[Array, Array, Array]:
    """Singular value decomposition of a matrix whose columns (or rows and columns) fall in scale.

    The usual method, divide and conquer, has the rounding error of the greatest singular value in
    all of them; this one, by QR iteration, has it only to their own scale, and takes longer.

    Parameters
    ----------
    values : array (n, p)
        numpy or torch, on any device; computed on the processor.

    Returns
    -------
    left, singular, right : arrays (n, r), (r,), (r, p)
        Of the same kind, on the same device.
    """
    xp, device = array_api.array_namespace(values), array_api.device(values)
    found = scipy.linalg.svd(to_numpy(values), full_matrices=False, lapack_driver="gesvd")
    left, singular, right = (xp.asarray(part, device=device) for part in found)
    return left, singular, right


def _read_out(given: Array, rows: NDArray[np.intp] | None = None) -> Array:
    """Float64 responses to some stimuli; their number type as given decides what is silent."""
    return double(steady(given if rows is None else take(given, rows)))


def _cosines(inner: Array, none: Array) -> Array:
    """Inner products (n, n) over lengths; 0 in the rows and columns that have no direction."""
    xp = array_api.array_namespace(inner)
    squares = xp.linalg.diagonal(inner)
    share = xp.where(none, 0.0, 1 / xp.sqrt(xp.where(none, 1.0, squares)))
    return inner * share * share[:, None]


def _eigh(values: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of a symmetric matrix, which is overwritten where it can be."""
    if isinstance(values, np.ndarray):
        # the transpose is the same matrix in the order that LAPACK works in
        found = scipy.linalg.eigh(values.T, overwrite_a=True, check_finite=False, driver="evd")
        return found[0], found[1]
    squares, left = array_api.array_namespace(values).linalg.eigh(values)
    return squares, left


def _check_kind(values: Any) -> None:
    """Make sure that responses are a float array with two axes."""
    if not array_api.is_array_api_obj(values):
        raise InputError(
            f"a population is an array of stimuli x units (numpy, torch or dask), not a "
            f"{type(values).__name__}: give numpy.asarray(values)."
        )
    shape, dtype = tuple(values.shape), str(values.dtype)
    if len(shape) != 2 or 0 in shape:
        raise InputError(
            f"a population is stimuli x units, with one or more of each; the array has the shape "
            f"{shape}. Average over repeats and time bins, or flatten positions into units."
        )
    if "float" not in dtype:
        raise InputError(
            f"a population holds floats, and the array holds {dtype}: convert it with "
            "values.astype('float64')."
        )


def _check_positions(name: str, part: Any) -> None:
    """Make sure that part of a split is an array of positions."""
    known = isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in "iu"
    if not known or not len(part) or part.min() < 0:
        raise InputError(
            f"{name} is {part!r}: give positions of stimuli, an array of one or more whole numbers "
            "from 0 up, such as Folds(5).split(n_stimuli) makes."
        )


def _complete(values: Array) -> Array:
    """The values, if none is NaN or infinite."""
    xp = array_api.array_namespace(values)
    finite = xp.isfinite(values)
    if not bool(xp.all(finite)):
        incomplete = int(xp.sum(xp.astype(~xp.all(finite, axis=0), xp.int64)))
        raise InputError(
            f"the responses hold NaN or infinite values in {incomplete} of {values.shape[1]} "
            "units: a population must be complete. Keep the units (or stimuli) that were recorded "
            "throughout, with .data.dropna('unit')."
        )
    check_scale(max(abs(float(xp.min(values))), abs(float(xp.max(values)))))
    return values
