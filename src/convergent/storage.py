"""Labelled arrays on disk, as netCDF or zarr, and files that are written whole or not at all."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from .errors import InputError, examples

__all__ = ["read_array", "write_array", "write_whole"]


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file or folder under a temporary name beside ``path``, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        temporary, old = Path(folder) / path.name, Path(folder) / f"old-{path.name}"
        write(temporary)
        if temporary.is_dir() and path.exists():  # only a file is replaced in one step
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise


def write_array(data: xr.DataArray, path: Path) -> Path:
    """Write an assembly's array; `convergent.Assembly.save` says how."""
    changed = [
        f"{key}: {type(value).__name__}"
        for key, value in data.attrs.items()
        if not _survives_json({key: value})
    ]
    if changed:
        raise InputError(
            f"attrs cannot be saved exactly ({examples(changed)}): keep numbers, strings, lists "
            "and dicts with string keys in attrs, and arrays in coordinates."
        )
    dataset = data.drop_attrs(deep=False).to_dataset(name="values")
    dataset.attrs = {
        "convergent_assembly": 1,
        "name": json.dumps(data.name),
        "attrs": json.dumps(data.attrs),
    }
    encoding: dict[Any, dict[str, Any]] = {
        key: {"_FillValue": None}
        for key, variable in dataset.variables.items()
        if variable.dtype.kind == "f"
    }
    for variable in dataset.variables.values():
        variable.encoding = {}
    if path.suffix == ".nc":
        encoding["values"]["fletcher32"] = True  # a checksum: damage is noticed when read
        write_whole(
            path, lambda part: dataset.to_netcdf(part, engine="h5netcdf", encoding=encoding)
        )
    elif path.suffix == ".zarr":
        with warnings.catch_warnings():  # strings have no Zarr 3 specification yet
            warnings.filterwarnings("ignore", message=".*Zarr V3 specification.*")
            write_whole(
                path, lambda part: dataset.to_zarr(part, consolidated=False, encoding=encoding)
            )
    else:
        raise InputError(f"cannot save {path.name!r}: name it .nc (netCDF) or .zarr.")
    return path


def _survives_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def read_array(path: Path) -> xr.DataArray:
    """Read an assembly's array; `convergent.open` says how."""
    if not path.exists():
        raise InputError(f"there is no {path}.")
    if path.suffix not in {".nc", ".zarr"}:
        raise InputError(f"cannot open {path.name!r}: expected .nc (netCDF) or .zarr.")
    try:
        if path.suffix == ".zarr":
            dataset = xr.open_zarr(path, consolidated=False)
            dataset = dataset.assign_coords({key: dataset[key].load() for key in dataset.coords})
        else:
            with xr.open_dataset(path, engine="h5netcdf") as dataset:
                if "convergent_assembly" in dataset.attrs:
                    dataset.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a readable {path.suffix} file ({error}): it is damaged or cut short, "
            "or something else; copy or make it anew."
        ) from error
    if "convergent_assembly" not in dataset.attrs:
        raise InputError(
            f"{path} was not written by Assembly.save: read it with xarray and wrap the array, "
            "convergent.Assembly(xarray.open_dataset(path)['name'])."
        )
    data: xr.DataArray = dataset["values"].rename(json.loads(dataset.attrs["name"]))
    data.attrs = json.loads(dataset.attrs["attrs"])
    return data
