"""Responses of a population: stimuli x units, from a network's layer or from a brain."""

from __future__ import annotations

import hashlib
import html
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..base.draws import first_half
from ..base.errors import InputError, examples, unknown
from .assembly_checks import _place, check_array, labels_along, read_values, row_blocks
from .storage import read_array, write_array

__all__ = ["POSITION", "Assembly", "align", "images_of", "open_assembly"]

POSITION = ("image", "row", "column")  # labels of stimuli that are positions of an image


@dataclass(frozen=True, eq=False, repr=False)
class Assembly:
    """Responses of a population of units to stimuli, with a name for each stimulus and unit.

    A layer's activations and a brain's responses are the same thing here, so that whatever can
    be asked of one can be asked of the other.

    Parameters
    ----------
    data : xarray.DataArray
        Float values, numpy or dask, of shape (stimulus, unit), then optionally ``repeat`` and
        ``time``; dims may come in any order. ``stimulus`` and ``unit`` carry unique strings.
        Every other coordinate is plain and lies along one dim (``region`` along ``unit``,
        ``category`` along ``stimulus``). NaN means "not recorded" and only that.

    Raises
    ------
    InputError
        Where the above does not hold; the message says what was found and what to do.

    Notes
    -----
    Infinite values are looked for at once in numpy arrays, and when they are first read in dask
    arrays.
    """

    data: xr.DataArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", check_array(self.data))

    @classmethod
    def from_array(
        cls,
        values: ArrayLike,
        *,
        stimuli: Iterable[str],
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
            Float array; its dims, in the order of ``dims``.
        stimuli : iterable of str
            One name a stimulus; stimuli are matched by name, never by position.
        units : iterable of str, optional
            One name a unit; numbered where left out (``unit000``...).
        dims : iterable of str
            What each axis of ``values`` is: ``stimulus``, ``unit``, ``repeat``, ``time``.
        name : str, optional
            What to call the population in tables and figures.
        attrs : mapping, optional
            Notes about the whole (plain values: they are saved as JSON).
        **coords
            Further labels: a single value for all units (``region="V4"``), an array as long as
            the stimuli or the units, or ``(dim, array)``.

        Raises
        ------
        InputError
            Where names, dims or labels do not fit the array.
        """
        array: Any = values if hasattr(values, "dtype") else np.asarray(values)
        dims = tuple(dims)
        if len(set(dims)) != array.ndim:
            raise InputError(
                f"the array has {array.ndim} axes of shape {tuple(array.shape)}, but dims are "
                f"{dims}: name each axis once."
            )
        sizes = dict(zip(dims, array.shape, strict=True))
        if units is None and "unit" in sizes:
            width = len(str(max(sizes["unit"] - 1, 0)))
            units = [f"unit{i:0{width}d}" for i in range(sizes["unit"])]
        labels: dict[str, Any] = {}
        for dim, names in (("stimulus", stimuli), ("unit", units)):
            if names is not None:
                labels[dim] = labels_along(dim, list(names), dim, sizes)
        for key, label in coords.items():
            labels[key] = label if key in sizes else _place(key, label, sizes)
        data = xr.DataArray(array, dims=dims, coords=labels, name=name, attrs=dict(attrs or {}))
        return cls(data)

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
        """What the population is called in tables and figures."""
        return None if self.data.name is None else str(self.data.name)

    @property
    def repeats(self) -> int:
        """Largest number of repeats of a stimulus (1 where there is no such dim)."""
        return int(self.data.sizes.get("repeat", 1))

    def average(self) -> Assembly:
        """Mean over repeats, of those that were recorded.

        Returns
        -------
        Assembly
            Without ``repeat``; how many repeats went in stands in the coordinates ``n_repeats``
            (mean over units, along ``stimulus``) and ``n_repeats_of_unit`` (mean over stimuli,
            along ``unit``). What was never recorded stays NaN.
        """
        if "repeat" not in self.data.dims:
            return self
        count = self.data.notnull().sum("repeat")
        mean = self.data.sum("repeat", skipna=True) / count.where(count > 0)
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
        """Means of two random halves of each stimulus's repeats.

        Parameters
        ----------
        seed : int
            Draws the halves; where a stimulus has an odd number, chance gives the extra repeat
            to one of them.

        Raises
        ------
        InputError
            Where no stimulus has two repeats.
        """
        if self.repeats < 2:
            raise InputError(
                "halves need at least two repeats of a stimulus, and this assembly has one: load "
                "single trials (dims 'stimulus', 'unit', 'repeat') instead of their mean."
            )
        trials = self.data.transpose("stimulus", "unit", ..., "repeat")
        first = xr.DataArray(
            first_half(~np.isnan(trials.values), np.random.default_rng(seed)), dims=trials.dims
        )
        one, other = Assembly(self.data.where(first)), Assembly(self.data.where(~first))
        return one.average(), other.average()

    def where(self, **labels: Any) -> Assembly:
        """Part of the assembly that carries these labels.

        Parameters
        ----------
        **labels
            Coordinate and value, or a list of values: ``where(region="V4", subject=["a", "b"])``.

        Raises
        ------
        InputError
            Where a coordinate or a value is not there, or nothing is left.
        """
        data = self.data
        for key, wanted in labels.items():
            coordinate = self._coordinate(key)
            values: list[Any] = [wanted] if np.isscalar(wanted) else list(wanted)
            present = set(coordinate.values.tolist())
            absent = [value for value in values if value not in present]
            if absent or not values:
                raise InputError(
                    f"no {coordinate.dims[0]} has {key} = {examples(absent) or 'one of none'}: "
                    f"{key} holds {examples(sorted(present, key=str), 12)}."
                )
            keep = np.isin(data[key].values, values)
            data = data.isel({coordinate.dims[0]: keep})
        if 0 in data.shape:
            raise InputError(f"nothing carries all of {labels}: loosen one of them.")
        return Assembly(data)

    def by(self, label: str) -> dict[str, Assembly]:
        """PopulationFold by a label, in the order in which its values first appear.

        Parameters
        ----------
        label : str
            A coordinate, such as ``region`` or ``subject``.

        Raises
        ------
        InputError
            Where there is no such coordinate.
        """
        coordinate = self._coordinate(label)
        (dim,) = coordinate.dims
        values = coordinate.values
        return {
            str(value): Assembly(self.data.isel({dim: values == value}).rename(str(value)))
            for value in dict.fromkeys(values.tolist())
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write to ``.nc`` (netCDF-4) or ``.zarr``, whole or not at all.

        Parameters
        ----------
        path : path
            Replaced where it exists. `convergent.open` reads it back exactly. A ``.zarr`` folder
            holds chunks that can be read by stimuli and by units alike, each with a checksum.

        Raises
        ------
        InputError
            Where the suffix is another, or an attribute is not a plain value.
        """
        return write_array(self.data, Path(path))

    def fingerprint(self) -> str:
        """SHA-256 of dims, names, dtype and values; labels and attrs do not enter.

        Raises
        ------
        InputError
            Where values on disk are damaged.
        """
        digest = hashlib.sha256()
        digest.update(repr((self.data.dims, self.data.shape, self.data.dtype.str)).encode())
        for names in (self.stimuli, self.units):
            digest.update("\0".join([*names.tolist(), ""]).encode())
        for rows in row_blocks(self.data):
            digest.update(np.ascontiguousarray(read_values(self.data.isel(stimulus=rows))).data)
        return digest.hexdigest()

    def _coordinate(self, key: str) -> xr.DataArray:
        if key not in self.data.coords:
            raise unknown("coordinate", key, [str(name) for name in self.data.coords])
        return self.data[key]

    def __repr__(self) -> str:
        labels = "\n".join(f"  {key} ({dim}): {what}" for key, dim, what in _labels(self.data))
        return f"{_headline(self)}\n{labels}"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th><td>{html.escape(dim)}</td>"
            f"<td style='text-align:left'>{html.escape(what)}</td></tr>"
            for key, dim, what in _labels(self.data)
        )
        return (
            f"<div><b>{html.escape(_headline(self))}</b>"
            f"<table><tr><th style='text-align:left'>label</th><th>along</th>"
            f"<th style='text-align:left'>values</th></tr>{rows}</table></div>"
        )


def open_assembly(path: str | os.PathLike[str]) -> Assembly:
    """Read an assembly that `Assembly.save` wrote.

    Parameters
    ----------
    path : path
        A ``.nc`` file, which is read whole, or a ``.zarr`` folder, of which the values stay on
        disk until they are needed.

    Raises
    ------
    InputError
        Where there is no such file, or it is not an assembly.
    """
    return Assembly(read_array(Path(path)))


def align(*assemblies: Assembly) -> tuple[Assembly, ...]:
    """Bring assemblies to the same stimuli, matched by name and sorted by name.

    Parameters
    ----------
    *assemblies : Assembly
        Any number of them.

    Returns
    -------
    tuple of Assembly
        With the stimuli that all share, in the same order.

    Raises
    ------
    InputError
        Where they share none.

    Warns
    -----
    UserWarning
        Where some stimuli are not shared, and so left out.
    """
    names = [set(assembly.stimuli.tolist()) for assembly in assemblies]
    shared, every = set.intersection(*names), set.union(*names)
    what = " and ".join(
        f"{assembly.name or f'assembly {i + 1}'} ({len(own)} stimuli)"
        for i, (assembly, own) in enumerate(zip(assemblies[:4], names, strict=False))
    )
    if not shared:
        shown = " against ".join(examples(sorted(own), 2) for own in names[:2])
        remedy = "stimuli are matched by name, so rename one side to the other's names."
        if any(images_of(assembly) is not None for assembly in assemblies):
            remedy = (
                "positions are matched with those of the same grid alone, so extract all layers "
                "onto one grid (spatial='positions-4', say), or, to set them beside whole images, "
                "with spatial='mean' or 'flatten'."
            )
        raise InputError(f"{what} share 0 of {max(map(len, names))} stimuli ({shown}): {remedy}")
    if len(shared) < len(every):
        warnings.warn(
            f"{what} share {len(shared)} of {len(every)} stimuli; left out are "
            f"{examples(sorted(every - shared))}.",
            stacklevel=2,
        )
    order = sorted(shared)
    return tuple(
        assembly
        if assembly.stimuli.tolist() == order
        else Assembly(assembly.data.sel(stimulus=order))
        for assembly in assemblies
    )


def images_of(assembly: Assembly) -> NDArray[Any] | None:
    """Which image each stimulus is a position of; None where stimuli are no positions.

    Parameters
    ----------
    assembly : Assembly
        Positions have ``image``, ``row`` and ``column`` along ``stimulus``.
    """
    coords = assembly.data.coords
    if all(key in coords and coords[key].dims == ("stimulus",) for key in POSITION):
        return np.asarray(coords["image"].values)
    return None


def _headline(assembly: Assembly) -> str:
    data = assembly.data
    plural = {"stimulus": "stimuli", "unit": "units", "repeat": "repeats", "time": "times"}
    shape = " x ".join(f"{size} {plural[str(dim)]}" for dim, size in data.sizes.items())
    where = "on disk" if data.chunks is not None else "in memory"
    title = f"Assembly {assembly.name}" if assembly.name else "Assembly"
    return f"{title}: {shape}, {data.dtype}, {data.nbytes / 2**20:.3g} MiB {where}"


def _labels(data: xr.DataArray) -> list[tuple[str, str, str]]:
    """Rows of the readable summary: label, dim, what it holds."""
    rows = []
    for key, coordinate in data.coords.items():
        values = coordinate.values
        distinct = list(dict.fromkeys(values.tolist()))
        if len(distinct) <= 6 < len(values):
            what = ", ".join(f"{value} ({int((values == value).sum())})" for value in distinct)
        else:
            what = ", ".join(str(value) for value in values[:3].tolist())
            what += ", ..." if len(values) > 3 else ""
        rows.append((str(key), str(coordinate.dims[0]), what))
    return rows
