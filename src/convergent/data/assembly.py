"""Responses of a population, from a network's layer or from a brain: stimuli x units."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import as_list, as_seed, check_known, check_type
from ..base.draws import first_half
from ..base.errors import InputError, examples, warn
from ..base.files import as_path
from ..base.notebook import brief, in_short, numbers, page_of
from .assembly_checks import (
    check_array,
    labels_along,
    labels_of,
    names_along,
    read_values,
    row_blocks,
)
from .contents import check_contents, with_contents
from .names import naturally_sorted
from .number_types import as_array
from .stimuli import Stimuli
from .storage import read_file, write_array

__all__ = ["Assembly", "align", "align_named", "images_of", "open"]

_POSITION = ("image", "row", "column")  # labels of stimuli that are positions of an image


@dataclass(frozen=True, eq=False, repr=False)
class Assembly:
    """Responses of a population of units to stimuli, with a name for each stimulus and unit.

    Activations of a network's layer and responses of a brain are held in the same way, so that
    everything that can be computed from one can be computed from the other.

    Parameters
    ----------
    data : xarray.DataArray
        Float values, numpy or dask, of shape (stimulus, unit), then optionally ``repeat`` and
        ``time``; dims may come in any order. The coordinates ``stimulus`` and ``unit`` are unique
        strings. Every other coordinate is plain and lies along one dim (``region`` along ``unit``,
        ``category`` along ``stimulus``). NaN means "not recorded" and nothing else.

    Raises
    ------
    InputError
        If the above does not hold; the message says what was found and what to do.

    Notes
    -----
    Numpy arrays are searched for infinite values at once, dask arrays when they are first scored
    or saved. Values in another byte order, in extended precision or in bfloat16 are converted, as
    `from_array` describes.

    Examples
    --------
    >>> import convergent as cv
    >>> import xarray as xr
    >>> data = xr.DataArray(
    ...     [[0.5, 1.0], [2.0, 0.0], [1.5, 1.0]],
    ...     dims=("stimulus", "unit"),
    ...     coords={
    ...         "stimulus": ["a.png", "b.png", "c.png"],
    ...         "unit": ["u0", "u1"],
    ...         "region": ("unit", ["V1", "V4"]),
    ...     },
    ...     name="monkey",
    ... )
    >>> assembly = cv.Assembly(data)
    >>> assembly
    Assembly monkey: 3 stimuli x 2 units, float64, 48 bytes in memory
      region (unit): V1, V4
      stimulus (stimulus): a.png, b.png, c.png
      unit (unit): u0, u1
    >>> assembly.where(region="V4").data.values.ravel().tolist()
    [1.0, 0.0, 1.0]
    """

    data: xr.DataArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", check_array(self.data))

    @classmethod
    def from_array(
        cls,
        values: ArrayLike,
        *,
        stimuli: Iterable[str] | Stimuli,
        units: Iterable[str] | None = None,
        dims: Iterable[str] = ("stimulus", "unit"),
        name: str | None = None,
        attrs: Mapping[str, Any] | None = None,
        **coords: Any,
    ) -> Assembly:
        """Label an array.

        Parameters
        ----------
        values : array
            Floats; its dims, in the order of ``dims``. Arrays of numpy, dask, torch or pandas are
            taken in any byte order, on any device, and with a mask, which becomes NaN; bfloat16
            becomes float32, and extended precision float64.
        stimuli : iterable of str, or Stimuli
            One name for each stimulus, in the order of the array; stimuli are matched by name,
            never by position. `Stimuli` give their names in their order, and the hashes of their
            images: stimulus i belongs to index i.
        units : iterable of str, optional
            One name for each unit; by default, units are numbered (``unit000``...).
        dims : iterable of str
            What each axis of ``values`` is: ``stimulus``, ``unit``, ``repeat``, ``time``.
        name : str, optional
            Name of the population in tables and figures.
        attrs : mapping, optional
            Notes about the whole (plain values, which are saved as JSON).
        **coords
            Further labels: a single value for all units (``region="V4"``), an array as long as
            the stimuli or the units, or ``(dim, array)``.

        Returns
        -------
        Assembly
            The labelled array; its values are not copied, unless they are converted.

        Raises
        ------
        InputError
            If names, dims or labels do not fit the array.

        Warns
        -----
        UserWarning
            If the names of `Stimuli` decided their order, and it is not that of the alphabet, which
            may be the order of the array.

        Examples
        --------
        >>> import convergent as cv
        >>> import numpy as np
        >>> counts = np.random.default_rng(0).poisson(3.0, (2, 3, 4)).astype(float)
        >>> assembly = cv.Assembly.from_array(
        ...     counts,
        ...     dims=("unit", "stimulus", "repeat"),
        ...     stimuli=["a.png", "b.png", "c.png"],
        ...     region="V4",
        ... )
        >>> assembly.data.dims, assembly.units.tolist()
        (('stimulus', 'unit', 'repeat'), ['unit0', 'unit1'])
        """
        array = as_array(values)
        dims = tuple(as_list("dims", dims, "('stimulus', 'unit'), in the order of the axes"))
        for dim in dims:
            check_type(str, "dims that are names, such as 'stimulus'", dim=dim)
        if attrs is not None:
            check_type(Mapping, "a dict of plain values", attrs=attrs)
        if len(set(dims)) != array.ndim or len(dims) != array.ndim:
            raise InputError(
                f"the array has {array.ndim} axes of shape {tuple(array.shape)}, but dims are "
                f"{dims}: name each axis once."
            )
        sizes = dict(zip(dims, array.shape, strict=True))
        if units is None and "unit" in sizes:
            width = len(str(max(sizes["unit"] - 1, 0)))
            units = [f"unit{i:0{width}d}" for i in range(sizes["unit"])]
        labels: dict[str, Any] = {}
        rows = _in_order(stimuli) if isinstance(stimuli, Stimuli) else stimuli
        for dim, names in (("stimulus", rows), ("unit", units)):
            if names is not None:
                labels[dim] = labels_along(dim, names_along(dim, names), dim, sizes)
        for key, label in coords.items():
            labels[key] = label if key in sizes else labels_of(key, label, sizes)
        data = xr.DataArray(array, dims=dims, coords=labels, name=name, attrs=dict(attrs or {}))
        return cls(with_contents(data, stimuli) if isinstance(stimuli, Stimuli) else data)

    @property
    def stimuli(self) -> NDArray[Any]:
        """Names of the stimuli."""
        return np.asarray(self.data["stimulus"].values)

    @property
    def units(self) -> NDArray[Any]:
        """Names of the units."""
        return np.asarray(self.data["unit"].values)

    @property
    def name(self) -> str | None:
        """Name of the population in tables and figures."""
        return None if self.data.name is None else str(self.data.name)

    @property
    def repeats(self) -> int:
        """Largest number of repeats of a stimulus (1 if there is no such dim)."""
        return int(self.data.sizes.get("repeat", 1))

    def average(self) -> Assembly:
        """Average over repeats, using those that were recorded.

        Returns
        -------
        Assembly
            Without ``repeat``. The coordinates ``n_repeats`` (mean over units, along ``stimulus``)
            and ``n_repeats_of_unit`` (mean over stimuli, along ``unit``) say how many repeats were
            averaged. Responses that were never recorded stay NaN.
        """
        if "repeat" not in self.data.dims:
            return self
        count = self.data.notnull().sum("repeat")
        # summed in float64, as sums of few digits are wrong, or infinite
        total = self.data.sum("repeat", skipna=True, dtype=np.float64)
        mean = total / count.where(count > 0)
        mean = mean.astype(self.data.dtype).assign_attrs(self.data.attrs).rename(self.data.name)
        rest = [dim for dim in count.dims if dim != "stimulus"]
        by_unit = [dim for dim in count.dims if dim != "unit"]
        return Assembly(
            mean.assign_coords(
                n_repeats=("stimulus", count.mean(rest).values),
                n_repeats_of_unit=("unit", count.mean(by_unit).values),
            )
        )

    def halves(self, seed: int = 0) -> tuple[Assembly, Assembly]:
        """Average two random halves of each stimulus's repeats.

        Parameters
        ----------
        seed : int
            Seed of the random draws. If a stimulus has an odd number of repeats, the draw decides
            which half gets the extra one.

        Returns
        -------
        tuple of Assembly
            The means of the two halves, without ``repeat``.

        Raises
        ------
        InputError
            If no stimulus has two repeats.
        """
        if self.repeats < 2:
            raise InputError(
                "halves need at least two repeats of a stimulus, and this assembly has one: load "
                "single trials (dims 'stimulus', 'unit', 'repeat') instead of their mean."
            )
        trials = self.data.transpose("stimulus", "unit", ..., "repeat")
        first = xr.DataArray(
            first_half(~np.isnan(trials.values), np.random.default_rng(as_seed(seed))),
            dims=trials.dims,
        )
        one, other = Assembly(self.data.where(first)), Assembly(self.data.where(~first))
        return one.average(), other.average()

    def trials(self) -> NDArray[np.floating]:
        """Single trials as a bare array.

        Returns
        -------
        float array (stimulus, unit, repeat)
            NaN where a repeat was not recorded; one repeat if there is no such dim.

        Raises
        ------
        InputError
            If the assembly has time bins.
        """
        data = _without_time(self).data
        data = data if "repeat" in data.dims else data.expand_dims("repeat")
        return read_values(data.transpose("stimulus", "unit", "repeat"))

    def paired(self, other: Assembly) -> tuple[Any, Any]:
        """Mean responses of two assemblies to the stimuli that they share, as bare arrays.

        Parameters
        ----------
        other : Assembly
            Stimuli are matched by name, as by `align`.

        Returns
        -------
        float array (stimulus, unit)
            Responses of this assembly, numpy or dask. Stimuli and units are sorted by name;
            repeats are averaged.
        float array (stimulus, unit)
            Responses of the other one, to the same stimuli.

        Raises
        ------
        InputError
            If they share no stimuli, or one has time bins.

        Warns
        -----
        UserWarning
            If some stimuli are not shared.
        """
        both = (_without_time(part).average() for part in align(self, other))
        one, two = (part.data.isel(unit=np.argsort(part.units)).data for part in both)
        return one, two

    def where(self, **labels: Any) -> Assembly:
        """Select the stimuli or units that carry some labels.

        Parameters
        ----------
        **labels
            Coordinate and value, or a list of values: ``where(region="V4", subject=["a", "b"])``.

        Returns
        -------
        Assembly
            The part of this assembly that carries all of the labels.

        Raises
        ------
        InputError
            If a coordinate or a value does not exist, or nothing is left.
        """
        data = self.data
        for key, wanted in labels.items():
            coordinate = self._coordinate(key)
            values: list[Any] = [wanted] if np.isscalar(wanted) else _several(key, wanted)
            present = set(coordinate.values.tolist())
            absent = [value for value in values if not _is_in(value, present)]
            if absent or not values:
                raise InputError(
                    f"no {coordinate.dims[0]} has {key} = {examples(absent) or 'one of none'}: "
                    f"{key} holds {examples(sorted(present, key=str), 12)}."
                )
            selected = np.isin(data[key].values, values)
            data = data.isel({coordinate.dims[0]: selected})
        if 0 in data.shape:
            raise InputError(f"nothing carries all of {labels}: give fewer of them.")
        return Assembly(data)

    def by(self, label: str) -> dict[str, Assembly]:
        """Split into parts by a label.

        Parameters
        ----------
        label : str
            A coordinate, such as ``region`` or ``subject``.

        Returns
        -------
        dict of str to Assembly
            One part for each value of the label, in the order in which the values first occur.

        Raises
        ------
        InputError
            If there is no such coordinate.
        """
        coordinate = self._coordinate(label)
        (dim,) = coordinate.dims
        values = coordinate.values
        return {
            str(value): Assembly(self.data.isel({dim: values == value}).rename(str(value)))
            for value in dict.fromkeys(values.tolist())
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write to ``.nc`` (netCDF-4) or ``.zarr``, completely or not at all.

        Parameters
        ----------
        path : path
            Replaced if it exists. `convergent.open` reads exactly what was saved: this is verified
            for labels and attributes before the file gets its name. All that is in the file has
            checksums, so that damage is noticed when it is opened or read. A ``.zarr`` folder
            holds chunks that can be read by stimuli and by units alike.

        Returns
        -------
        Path
            The path.

        Raises
        ------
        InputError
            If the path has another suffix, or something would not be read back as it is: an
            attribute that is not a plain value, a label that the format does not take, an infinite
            value on disk; if the responses are read from the folder that would be replaced.
        """
        return write_array(self.data, as_path(path))

    def fingerprint(self) -> str:
        """SHA-256 of dims, names, dtype and values; labels and attributes are not included.

        Returns
        -------
        str
            64 hexadecimal digits.

        Raises
        ------
        InputError
            If values on disk are damaged or infinite.
        """
        digest = hashlib.sha256()
        digest.update(repr((self.data.dims, self.data.shape, self.data.dtype.str)).encode())
        for names in (self.stimuli, self.units):
            digest.update("\0".join([*names.tolist(), ""]).encode())
        for rows in row_blocks(self.data):
            digest.update(np.ascontiguousarray(read_values(self.data.isel(stimulus=rows))).data)
        return digest.hexdigest()

    def _coordinate(self, key: str) -> xr.DataArray:
        check_known("coordinate", key, [str(name) for name in self.data.coords])
        return self.data[key]

    def __repr__(self) -> str:
        labels = "\n".join(f"  {key} ({dim}): {what}" for key, dim, what in _labels(self.data))
        return f"{_headline(self)}\n{labels}"

    def _repr_html_(self) -> str:
        heads = ("label", "along", "values")
        return page_of(_headline(self), _labels(self.data), heads)


def open(  # noqa: A001 (it is convergent.open)
    path: str | os.PathLike[str],
) -> Assembly | xr.Dataset:
    """Open an assembly that `Assembly.save` wrote, or a result that was written as netCDF or zarr.

    Parameters
    ----------
    path : path
        A ``.nc`` file, which is read completely, or a ``.zarr`` folder, in which the values of an
        assembly stay until they are needed. If the folder is changed or replaced before, reading
        is an error, and never gives other values.

    Returns
    -------
    Assembly
        With the values, labels and attributes that were saved.
    xarray.Dataset
        If the file is a result, such as the ``scores.nc`` of ``convergent score``, or what
        ``.to_netcdf`` or ``.to_zarr`` of a result wrote: the result as it was computed.

    Raises
    ------
    InputError
        If there is no such file, or it is neither of the two; if it is damaged, was written by a
        later version, or may not be read.

    Examples
    --------
    >>> import convergent as cv
    >>> assembly = cv.open("recording.zarr")  # doctest: +SKIP
    >>> cv.summary(cv.open("results/scores.nc"))  # doctest: +SKIP
    """
    found = read_file(as_path(path))
    return found if isinstance(found, xr.Dataset) else Assembly(found)


def align(*assemblies: Assembly) -> tuple[Assembly, ...]:
    """Select the stimuli that all assemblies share, matched by name and sorted by name.

    Parameters
    ----------
    *assemblies : Assembly
        Any number of them.

    Returns
    -------
    tuple of Assembly
        With the same stimuli in the same order.

    Raises
    ------
    InputError
        If they share no stimulus, or if a stimulus of the same name is another image (both have the
        hash of its content, ``stimulus_sha256``).

    Warns
    -----
    UserWarning
        If some stimuli are not shared, and are therefore left out.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> one = cv.Assembly.from_array(np.ones((2, 3)), stimuli=["b.png", "a.png"])
    >>> other = cv.Assembly.from_array(np.ones((2, 5)), stimuli=["a.png", "b.png"])
    >>> [assembly.stimuli.tolist() for assembly in cv.align(one, other)]
    [['a.png', 'b.png'], ['a.png', 'b.png']]
    """
    if not assemblies:
        raise InputError("there is no assembly: give one or more.")
    check_type(
        Assembly, "an Assembly", **{f"assembly {i + 1}": a for i, a in enumerate(assemblies)}
    )
    names = [assembly.name or f"assembly {i + 1}" for i, assembly in enumerate(assemblies)]
    return align_named(names, assemblies)


def align_named(names: Sequence[str], assemblies: Sequence[Assembly]) -> tuple[Assembly, ...]:
    """Align populations, as `align` does, with their names for messages.

    Parameters
    ----------
    names : sequence of str
        One for each assembly.
    assemblies : sequence of Assembly
        One or more.

    Returns
    -------
    tuple of Assembly
        As `align` returns them.

    Raises
    ------
    InputError
        As `align` does.

    Warns
    -----
    UserWarning
        As `align` does.
    """
    stimuli = [frozenset(assembly.stimuli.tolist()) for assembly in assemblies]
    shared, every = frozenset.intersection(*stimuli), frozenset.union(*stimuli)
    groups: dict[frozenset[str], list[str]] = {}  # populations with the same stimuli
    for name, own in zip(names, stimuli, strict=True):
        groups.setdefault(own, []).append(name)
    what = " and ".join(
        f"{members[0]}{f' and {len(members) - 1} more' if members[1:] else ''} ({len(own)} stimuli)"
        for own, members in list(groups.items())[:4]
    )
    if not shared:
        raise _nothing_shared(what, assemblies, list(groups))
    if len(shared) < len(every):
        warn(
            f"{what} share {len(shared)} of {len(every)} stimuli; left out are "
            f"{examples(sorted(every - shared))}."
        )
    order = sorted(shared)
    found = tuple(
        assembly
        if assembly.stimuli.tolist() == order
        else Assembly(assembly.data.sel(stimulus=order))
        for assembly in assemblies
    )
    check_contents(names, [assembly.data for assembly in found])
    return found


def _several(key: str, wanted: Any) -> list[Any]:
    """Values of a label, of which a set has no order that matters."""
    if isinstance(wanted, (set, frozenset)):
        return list(wanted)
    return as_list(key, wanted, "a value of the label, or a list of them")


def _is_in(value: Any, present: set[Any]) -> bool:
    try:
        return value in present
    except TypeError:  # not hashable, so no label
        return False


def _in_order(stimuli: Stimuli) -> Sequence[str]:
    """Names of stimuli for the rows of an array, after a warning if their order is not clear."""
    counted, spelt = naturally_sorted(stimuli.names), sorted(stimuli.names)
    apart = [i for i, (one, other) in enumerate(zip(counted, spelt, strict=True)) if one != other]
    if apart and not stimuli.order_given:
        here = slice(max(apart[0] - 1, 0), apart[0] + 1)
        warn(
            "the rows of the array are taken to be in the order in which people count, "
            f"{examples(counted[here])}, and not in that of the alphabet, {examples(spelt[here])}: "
            "say which it is, stimuli=s.in_order(s.names) or s.in_order(sorted(s.names)), where s "
            "is what you gave as stimuli."
        )
    return stimuli.names


def _nothing_shared(
    what: str, assemblies: Sequence[Assembly], stimuli: Sequence[frozenset[str]]
) -> InputError:
    apart = next((pair for pair in combinations(stimuli, 2) if not pair[0] & pair[1]), stimuli[:2])
    found = " against ".join(examples(sorted(own), 2) for own in apart)
    remedy = "stimuli are matched by name, so rename one side to the other's names."
    if any(images_of(assembly) is not None for assembly in assemblies):
        remedy = (
            "positions match only positions of the same grid, so extract all layers onto one grid "
            "(spatial='positions-4', for example); to compare them with whole images, use "
            "spatial='mean' or 'flatten'."
        )
    return InputError(f"{what} share 0 of {max(map(len, stimuli))} stimuli ({found}): {remedy}")


def images_of(assembly: Assembly) -> NDArray[Any] | None:
    """Find the image that each stimulus is a position of.

    Parameters
    ----------
    assembly : Assembly
        Positions have ``image``, ``row`` and ``column`` along ``stimulus``.

    Returns
    -------
    array of str, or None
        One name for each stimulus; None if the stimuli are not positions.
    """
    coords = assembly.data.coords
    if all(key in coords and coords[key].dims == ("stimulus",) for key in _POSITION):
        return np.asarray(coords["image"].values)
    return None


def _without_time(assembly: Assembly) -> Assembly:
    """The assembly, if it has no time bins."""
    if "time" in assembly.data.dims:
        raise InputError(
            f"{assembly.name or 'the assembly'} has {assembly.data.sizes['time']} time bins: "
            'average them, Assembly(a.data.mean("time", dtype="float64")), or take one, '
            "Assembly(a.data.isel(time=0))."
        )
    return assembly


def _headline(assembly: Assembly) -> str:
    data = assembly.data
    plural = {"stimulus": "stimuli", "unit": "units", "repeat": "repeats", "time": "times"}
    shape = " x ".join(f"{size} {plural[str(dim)]}" for dim, size in data.sizes.items())
    where = "on disk" if data.chunks is not None else "in memory"
    title = f"Assembly {brief(assembly.name)}" if assembly.name else "Assembly"
    return f"{title}: {shape}, {data.dtype}, {_size(data.nbytes)} {where}"


def _labels(data: xr.DataArray) -> list[tuple[str, str, str]]:
    """Rows of the readable summary: name of a coordinate, its dim, its values in short."""
    return [
        (brief(key), str(coordinate.dims[0]), in_short(coordinate.values))
        for key, coordinate in data.coords.items()
    ]


def _size(n_bytes: int) -> str:
    size, units = float(n_bytes), ["bytes", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{numbers(size)} {units[0]}"
