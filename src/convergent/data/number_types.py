"""Arrays of any library and byte order, as numpy or dask arrays of numbers that all else takes."""

from __future__ import annotations

from typing import Any

import array_api_compat as array_api
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError

__all__ = ["as_array", "usual"]

_LARGEST = np.dtype(np.float64).itemsize


def as_array(values: Any) -> Any:
    """Convert what holds an array to a plain numpy or dask array.

    Parameters
    ----------
    values : object
        An array of numpy, dask, torch or another library; a matrix, masked or sparse array; a
        pandas or xarray object; nested lists.

    Returns
    -------
    numpy or dask array
        Numbers that a mask hides, or that pandas lacks, become NaN. Values are copied only where
        this is needed.

    Raises
    ------
    InputError
        If the values cannot be read.
    """
    if isinstance(values, xr.DataArray):
        values = values.data
    if isinstance(values, list | tuple) and any(map(array_api.is_torch_array, values)):
        values = [as_array(one) for one in values]
    if array_api.is_torch_array(values):
        return _of_torch(values)
    if array_api.is_dask_array(values):
        return _without_mask(values)
    if hasattr(values, "toarray"):  # sparse
        values = values.toarray()
    elif hasattr(values, "to_numpy"):  # pandas
        values = _of_pandas(values)
    elif isinstance(values, np.ma.MaskedArray):
        values = _filled(values)
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"a {type(values).__name__} cannot be read as an array ({error}): give a numpy array "
            "with an axis for each dim, padded with NaN where nothing was recorded."
        ) from error


def usual(values: Any) -> Any:
    """Convert the byte order to that of this machine, and extended precision to float64.

    Files, torch and the solvers take no other numbers.

    Parameters
    ----------
    values : numpy or dask array
        Of any dtype.

    Returns
    -------
    numpy or dask array
        The same array where its numbers are usual. bfloat16 becomes float32.
    """
    dtype = values.dtype
    if dtype.kind == "f" and dtype.itemsize > _LARGEST:
        with np.errstate(over="ignore"):  # numbers above those of float64 are found as infinite
            return values.astype(np.float64)
    if "float" in dtype.name and dtype.kind != "f":  # of ml_dtypes, as jax has it
        return values.astype(np.float32)
    return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


def _of_torch(values: Any) -> NDArray[Any]:
    """Values of a tensor that may have a gradient, lie on a device, or be of a type of torch."""
    try:
        plain = values.detach().cpu().resolve_conj().resolve_neg()
        plain = plain.to_dense() if str(plain.layout) != "torch.strided" else plain
        dtype = str(plain.dtype)
        if "float" in dtype and dtype not in {"torch.float16", "torch.float32", "torch.float64"}:
            plain = plain.float()
        return np.asarray(plain.numpy())
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"a tensor of {values.dtype} on the device {str(values.device)!r} holds no values that "
            f"can be read ({str(error).splitlines()[0]}): give a dense tensor of floats."
        ) from error


def _of_pandas(values: Any) -> NDArray[Any]:
    """Values of a table or column; numbers that pandas lacks (NA) are NaN."""
    array = np.asarray(values.to_numpy())
    if array.dtype.kind != "O":
        return array
    try:
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        return array


def _filled(values: Any) -> Any:
    """A masked array with NaN where the mask hides floats."""
    return values.filled(np.nan) if values.dtype.kind == "f" else np.ma.getdata(values)


def _without_mask(values: Any) -> Any:
    """A dask array whose blocks are plain numpy arrays."""
    if isinstance(values._meta, np.ma.MaskedArray):
        return values.map_blocks(_filled, dtype=values.dtype, meta=np.empty((0,) * values.ndim))
    return values
