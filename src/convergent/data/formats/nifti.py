"""Brain volumes (NIfTI): responses of voxels, and scores of voxels as a volume."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import xarray as xr
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from ...base.arguments import as_list, check_type
from ...base.errors import InputError, examples
from ...base.files import as_path
from ...base.reading import check_readable
from ..assembly import Assembly
from ..contents import with_contents
from ..names import one_spelling
from ..stimuli import Stimuli
from .volumes import called, load_image, read_volumes

__all__ = ["from_nifti", "to_nifti"]

_File = str | os.PathLike[str]
_AXES = ("voxel_i", "voxel_j", "voxel_k")
_BY_UNIT = (xr.DataArray, pd.Series, Mapping)
_TOLERANCE = 1e-3  # mm, between positions that are the same: headers have single precision


def from_nifti(
    images: _File | SpatialImage | Iterable[_File | SpatialImage],
    table: pd.DataFrame | _File,
    *,
    mask: _File | SpatialImage | None = None,
    labels: _File | SpatialImage | None = None,
    label_names: Mapping[int, str] | None = None,
    stimuli: Stimuli | None = None,
    name: str | None = None,
    **coords: Any,
) -> Assembly:
    """Read responses of voxels from volumes that each hold the response to one presentation.

    Volumes are read one after the other, and only the selected voxels stay in memory. Compressed
    files (``.nii.gz``) are compared with the checksum that they carry. Others have none: where they
    are cut short they are refused, and a changed value is not noticed.

    Parameters
    ----------
    images : path, nibabel image, or several
        A 4-D image, or several 3-D images; further axes of one volume, as in (x, y, z, 1, t), are
        left out. Values are real numbers.
    table : pandas.DataFrame, or path of a CSV or TSV file
        One row per volume, in the order of the volumes. Column ``stimulus`` names the stimulus;
        column ``repeat``, if there is one, numbers the presentations of a stimulus, which are
        otherwise numbered 1, 2, ... in their order.
    mask : path or nibabel image, optional
        Voxels above zero are selected.
    labels : path or nibabel image, optional
        Whole numbers, one for each region; voxels of 0 lie outside and are left out. They become
        the coordinate ``region``.
    label_names : mapping of int to str, optional
        Names of the regions; a number without a name becomes its own name, ``"7"``.
    stimuli : Stimuli, optional
        The images, whose hashes are added; they are matched by name.
    name : str, optional
        Name of the population in tables and figures.
    **coords
        Further labels, as `Assembly.from_array` takes them: ``subject="S1"``.

    Returns
    -------
    Assembly
        float32 (stimulus, unit), and ``repeat`` if there are several, with NaN for missing
        repeats. Stimuli are sorted by name. Units are the voxels inside the mask and the regions,
        or every voxel if neither is given; voxels that never vary are included, and are counted
        when they are scored. The indices of voxels are the coordinates ``voxel_i``, ``voxel_j``,
        ``voxel_k``; ``affine`` and ``volume_shape`` are in the attributes.

    Raises
    ------
    InputError
        If a file is no image, is damaged or cut short, if its values are complex or colours, if
        table, mask or labels do not fit the images, or no voxel is left.

    See Also
    --------
    to_nifti : Write numbers of voxels into a volume.

    Examples
    --------
    >>> import convergent as cv
    >>> recording = cv.formats.from_nifti(
    ...     "betas.nii.gz", "events.tsv", mask="v4.nii.gz", subject="S1"
    ... )  # doctest: +SKIP
    """
    if stimuli is not None:
        check_type(Stimuli, "Stimuli", stimuli=stimuli)
    events = _presentations(table)
    grid, n_volumes, volumes = _volumes(images)
    if n_volumes != len(events):
        raise InputError(
            f"{n_volumes} volumes and {len(events)} rows of the table: give one row for each "
            f"volume, in the order of the volumes. (The first, of {called(grid)}, has the shape "
            f"{grid.shape}.)"
        )
    inside, regions = _voxels(grid, mask, labels, label_names)
    shown, row = np.unique(events["stimulus"].to_numpy(dtype=str), return_inverse=True)
    repeats, repeat = np.unique(events["repeat"].to_numpy(), return_inverse=True)

    values = np.full((len(shown), len(repeats), inside.sum()), np.nan, np.float32)
    for volume, i, j in zip(volumes, row, repeat, strict=True):
        values[i, j] = volume[inside]

    voxels = np.argwhere(inside)
    found: dict[str, Any] = {axis: ("unit", voxels[:, i]) for i, axis in enumerate(_AXES)}
    if regions is not None:
        found["region"] = ("unit", regions)
    dims: tuple[str, ...] = ("stimulus", "repeat", "unit")
    if len(repeats) > 1:
        found["repeat"] = repeats
    else:
        values, dims = values[:, 0], ("stimulus", "unit")
    assembly = Assembly.from_array(
        values,
        dims=dims,
        stimuli=shown.tolist(),
        units=_voxel_names(voxels, grid.shape[:3]),
        name=name,
        attrs={"affine": grid.affine.tolist(), "volume_shape": list(grid.shape[:3])},
        **found,
        **coords,
    )
    return assembly if stimuli is None else Assembly(with_contents(assembly.data, stimuli))


def to_nifti(
    values: xr.DataArray | pd.Series[float] | Mapping[str, float], assembly: Assembly
) -> nib.Nifti1Image:
    """Write one number for each voxel, such as its score, into a volume.

    Parameters
    ----------
    values : xarray.DataArray along ``unit``, pandas.Series or mapping
        One number for each voxel, by unit name; any part of the assembly's units, in any order.
    assembly : Assembly
        From `from_nifti`, or a part of it, with the positions of its voxels.

    Returns
    -------
    nibabel.Nifti1Image
        float32, in the space of the images that were read; NaN where there is no number.
        ``nibabel.save`` writes it.

    Raises
    ------
    InputError
        If the assembly has no voxel positions, or a unit is not one of its voxels.

    See Also
    --------
    from_nifti : Read responses of voxels from volumes.

    Examples
    --------
    >>> import convergent as cv
    >>> volume = cv.formats.to_nifti(scores.r.mean("fold"), recording)  # doctest: +SKIP
    """
    check_type(Assembly, "an Assembly", assembly=assembly)
    check_type(_BY_UNIT, "one number for each voxel, by unit name", values=values)
    data = assembly.data
    lacking = [axis for axis in _AXES if axis not in data.coords]
    lacking += [key for key in ("affine", "volume_shape") if key not in data.attrs]
    if lacking:
        raise InputError(
            f"the assembly lacks positions of its units (no {examples(lacking, 5)}): give the one "
            "that from_nifti returned."
        )
    series = _one_each(values)
    position = pd.Index(assembly.units).get_indexer(series.index)
    other = series.index[position < 0].tolist()
    if other:
        raise InputError(
            f"{len(other)} of {len(series)} units are no voxels of the assembly "
            f"({examples(other)} against {examples(assembly.units.tolist(), 1)}): give the "
            "assembly that was scored."
        )
    volume = np.full(data.attrs["volume_shape"], np.nan, np.float32)
    volume[tuple(data[axis].values[position] for axis in _AXES)] = series.to_numpy(np.float32)
    affine = np.array(data.attrs["affine"])
    return nib.Nifti1Image(volume, affine)  # type: ignore[no-untyped-call]


def _one_each(values: xr.DataArray | pd.Series[float] | Mapping[str, float]) -> pd.Series[float]:
    """Numbers by unit, each unit once."""
    if isinstance(values, xr.DataArray):
        if values.dims != ("unit",):
            raise InputError(
                f"values have dims {values.dims}: give one number for each voxel, along 'unit' "
                "alone, such as scores.r.sel(metric='linear').mean('fold')."
            )
        values = values.to_series()
    series = values if isinstance(values, pd.Series) else pd.Series(dict(values))
    twice = series.index[series.index.duplicated()].unique().tolist()
    if twice:
        raise InputError(
            f"{len(twice)} units have several numbers ({examples(twice)}): choose one target first."
        )
    return series


def _presentations(table: pd.DataFrame | _File) -> pd.DataFrame:
    """Columns ``stimulus`` and ``repeat``, one row per volume."""
    if not isinstance(table, pd.DataFrame):
        table = _read_table(as_path(table, "table"))
    if "stimulus" not in table.columns:
        raise InputError(
            f"the table has no column 'stimulus'; its columns are {examples(table.columns, 12)}: "
            "rename the one that names the stimulus of each volume."
        )
    if not len(table):
        raise InputError("the table has no rows: give one for each volume.")
    events = table[[key for key in ("stimulus", "repeat") if key in table]].reset_index(drop=True)
    empty = np.flatnonzero(events.isna().any(axis=1)).tolist()
    if empty:
        raise InputError(
            f"{len(empty)} rows of the table lack their stimulus or repeat (the first is row "
            f"{empty[0]}, counted from 0): fill them in, or omit these rows and their volumes."
        )
    other = next((value for value in events["stimulus"] if not isinstance(value, str)), None)
    if other is not None:
        raise InputError(
            f"column 'stimulus' holds {other!r} ({type(other).__name__}): stimuli are matched "
            "by name, so use strings."
        )
    events = events.assign(stimulus=events["stimulus"].map(one_spelling))
    if "repeat" not in events:
        return events.assign(repeat=events.groupby("stimulus", observed=True).cumcount() + 1)
    twice = events[events.duplicated(["stimulus", "repeat"])]
    if len(twice):
        stimulus, repeat = twice.iloc[0]
        raise InputError(
            f"{len(twice)} rows of the table occur twice (stimulus {stimulus!r}, repeat {repeat}): "
            "number the repeats of each stimulus, or omit the column to have them numbered."
        )
    return events


def _read_table(path: Path) -> pd.DataFrame:
    check_readable(path, "table")
    separator = "\t" if ".tsv" in path.suffixes else ","
    try:
        return pd.read_csv(path, sep=separator, dtype={"stimulus": str})
    except (OSError, ValueError) as error:
        raise InputError(
            f"the table {path} cannot be read ({error}): save it as CSV or TSV."
        ) from error


def _volumes(
    images: _File | SpatialImage | Iterable[_File | SpatialImage],
) -> tuple[SpatialImage, int, Iterator[NDArray[Any]]]:
    """Find an image with the grid of the volumes, their number, and what reads them in order."""
    if isinstance(images, str | os.PathLike | SpatialImage):
        image = load_image(images)
        times = image.shape[3:]
        if not times or sum(size > 1 for size in times) > 1:
            raise InputError(
                f"{called(image)} has shape {image.shape}: give a 4-D image, whose last axis "
                "numbers the volumes, or a list of 3-D images."
            )
        places = [(..., *place) for place in np.ndindex(*times)]
        return image, len(places), read_volumes(image, places, image.shape[:3])
    given = as_list("images", images, "an image of four dims, or a list of images")
    listed = [load_image(image) for image in given]
    if not listed:
        raise InputError("the list of images is empty: give one 3-D image for each volume.")
    for image in listed:
        _check_grid(called(image), image, listed[0])
    shape = listed[0].shape[:3]
    several = (volume for image in listed for volume in read_volumes(image, [...], shape))
    return listed[0], len(listed), several


def _voxels(
    grid: SpatialImage,
    mask: _File | SpatialImage | None,
    labels: _File | SpatialImage | None,
    label_names: Mapping[int, str] | None,
) -> tuple[NDArray[np.bool_], list[str] | None]:
    """Select voxels of the volume, and find the region of each."""
    if label_names is not None and labels is None:
        raise InputError("label_names were given without labels: give the label image too.")
    if label_names is not None:
        check_type(Mapping, "a dict of names by label", label_names=label_names)
    inside = np.ones(grid.shape[:3], bool)
    if mask is not None:
        inside &= _volume("mask", mask, grid) > 0
    numbers = None if labels is None else _label_numbers(labels, grid)
    if numbers is not None:
        inside &= numbers != 0
    if not inside.any():
        given = " and ".join(
            word for word, what in (("mask", mask), ("label image", labels)) if what is not None
        )
        raise InputError(
            f"no voxel of {inside.size} lies inside the {given}: mask voxels are above zero, and "
            "labels are not 0."
        )
    if numbers is None:
        return inside, None
    names = label_names or {}
    regions = numbers[inside].astype(int).tolist()
    if names and names.keys().isdisjoint(regions):
        raise InputError(
            f"label_names names {examples(names, 6)}, and the label image holds "
            f"{examples(sorted(set(regions)), 6)}: map its whole numbers to names."
        )
    return inside, [str(names.get(region, region)) for region in regions]


def _label_numbers(labels: _File | SpatialImage, grid: SpatialImage) -> NDArray[Any]:
    numbers: NDArray[Any] = np.nan_to_num(_volume("label image", labels, grid))
    if (numbers != np.rint(numbers)).any():
        found = numbers[numbers != np.rint(numbers)][0]
        raise InputError(
            f"the label image holds {found:.6g}: labels are whole numbers; if it was resampled, "
            "do so again with nearest neighbours."
        )
    return numbers


def _volume(what: str, source: _File | SpatialImage, grid: SpatialImage) -> NDArray[Any]:
    image = load_image(source)
    _check_grid(f"the {what}", image, grid)
    (volume,) = read_volumes(image, [...], grid.shape[:3])
    return volume


def _check_grid(what: str, image: SpatialImage, grid: SpatialImage) -> None:
    """Check that an image has one volume, of the shape and position of the images."""
    if image.shape[:3] != grid.shape[:3] or not set(image.shape[3:]) <= {1}:
        raise InputError(
            f"{what} has shape {image.shape}, and a volume of the images has {grid.shape[:3]}: "
            "give one volume, resampled to their voxels."
        )
    if not np.allclose(image.affine, grid.affine, rtol=0, atol=_TOLERANCE):
        raise InputError(
            f"{what} lies elsewhere: its affine is {_rows(image.affine)}, and that of the images "
            f"is {_rows(grid.affine)}. Resample it to their voxels."
        )


def _rows(affine: NDArray[Any]) -> str:
    return str(np.round(affine, 3).tolist())


def _voxel_names(voxels: NDArray[Any], shape: tuple[int, ...]) -> list[str]:
    """Name units by their indices, as in ``voxel-07-31-12``, so that both sort alike."""
    wide = [len(str(size - 1)) for size in shape]
    return [
        "voxel-" + "-".join(str(at).zfill(width) for at, width in zip(voxel, wide, strict=True))
        for voxel in voxels.tolist()
    ]
