"""Files of netCDF-4, written with a checksum at their end, which is verified before they are read.

Any other program reads these files, and files of other programs are read as well.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checksums import add_trailer, check_trailer
from .reading import check_readable, readable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["open_netcdf", "write_netcdf"]

_OVERHEAD = (2**20, 2**14)  # bytes of a file beside its values: in all, and for each variable


def write_netcdf(
    dataset: xr.Dataset, path: Path, encoding: Mapping[Any, Mapping[str, Any]] | None = None
) -> None:
    """Write a file of netCDF-4.

    Its space is reserved first: HDF5 ends the whole program if a disk becomes full while it writes.

    Parameters
    ----------
    dataset : xarray.Dataset
        In memory, or from dask, block by block.
    path : Path
        The file; it should be a temporary one (`files.write_whole`).
    encoding : mapping, optional
        As for `xarray.Dataset.to_netcdf`.

    Raises
    ------
    OSError
        If there is not enough space.
    """
    import h5netcdf  # here, since imports are slow
    from xarray.backends import H5NetCDFStore
    from xarray.backends.common import ArrayWriter

    with path.open("w+b") as file:
        _reserve(file.fileno(), dataset)  # HDF5 cannot even close a file without space
        file.truncate(0)  # it takes empty files only
        with h5netcdf.File(file, "w") as content:
            _reserve(file.fileno(), dataset)
            writer = ArrayWriter()  # type: ignore[no-untyped-call]
            dataset.dump_to_store(H5NetCDFStore(content), writer=writer, encoding=encoding)
            writer.sync()  # type: ignore[no-untyped-call]
    add_trailer(path)


def _reserve(file: int, dataset: xr.Dataset) -> None:
    """Claim the space that a dataset takes at most; what is too much is given back at the end."""
    if not hasattr(os, "posix_fallocate"):
        return
    fixed, each = _OVERHEAD
    attrs = [dataset.attrs, *(variable.attrs for variable in dataset.variables.values())]
    size = fixed + dataset.nbytes + each * len(dataset.variables) + 4 * len(repr(attrs))
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise  # others: the file system cannot reserve


def open_netcdf(path: Path, *, ours: bool = False) -> xr.Dataset:
    """Open a file of netCDF-4 after its checksum was verified, if it has one.

    Parameters
    ----------
    path : Path
        The file.
    ours : bool
        Whether `write_netcdf` certainly wrote it, so that it must have a checksum.

    Returns
    -------
    xarray.Dataset
        Lazy; to be closed.

    Raises
    ------
    InputError
        If the file may not be read, or the path is a folder, a pipe or a device.
    DamageError
        If it is damaged.
    Exception
        Whatever HDF5 raises for files without a checksum.
    """
    import xarray as xr

    with readable(path):
        if path.exists() and not path.is_file():
            check_readable(path)  # HDF5 would wait for a pipe or a device to end
        check_trailer(path, expected=ours)
        return xr.open_dataset(path, engine="h5netcdf")
