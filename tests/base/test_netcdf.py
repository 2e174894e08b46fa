"""Files of netCDF with a checksum at their end, and files of others."""

import errno
import os
import subprocess
import sys

import dask.array
import h5py
import numpy as np
import pytest
import xarray as xr

from convergent.base.checksums import DamageError
from convergent.base.errors import InputError
from convergent.base.netcdf import open_netcdf, write_netcdf

VALUES = np.random.default_rng(0).normal(size=(20, 30))


def dataset(values=VALUES):
    return xr.Dataset({"r": (("a", "b"), values)}, {"a": [f"{i} é" for i in range(20)]}, {"n": 3})


@pytest.mark.parametrize("values", [VALUES, dask.array.from_array(VALUES, (7, 30))])
def test_other_programs_read_the_file(tmp_path, values):
    path = tmp_path / "a.nc"
    write_netcdf(dataset(values), path)
    with open_netcdf(path, ours=True) as found:
        assert found.load().identical(dataset())
    with xr.open_dataset(path) as found:
        assert found.load().identical(dataset())
    with h5py.File(path) as found:
        np.testing.assert_array_equal(found["r"][:], VALUES)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "a.nc"
    if kind == "pipe":
        getattr(os, "mkfifo", lambda _: pytest.skip("this system has no pipes"))(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(os.devnull)
    with pytest.raises(InputError, match=f"is a {kind}, and no file that can be read"):
        open_netcdf(path)


def test_files_of_other_programs_are_read(tmp_path):
    write_netcdf(dataset(), tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as found:
        found.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    with open_netcdf(tmp_path / "b.nc") as found:
        assert found.load().identical(dataset())
    with pytest.raises(DamageError, match="lost"):
        open_netcdf(tmp_path / "b.nc", ours=True)


@pytest.mark.parametrize("left", [-1, -10, -23, -25, 100])
def test_a_file_that_was_cut_never_reaches_hdf5(tmp_path, left, monkeypatch):
    path = tmp_path / "a.nc"
    write_netcdf(dataset(), path)
    path.write_bytes(path.read_bytes()[:left])
    monkeypatch.setattr(xr, "open_dataset", None)
    with pytest.raises(DamageError):
        open_netcdf(path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be reserved")
def test_a_disk_without_any_space_does_not_end_the_program(tmp_path):
    code = """
import pathlib, resource, signal, sys, xarray
from convergent.base.netcdf import write_netcdf
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import h5netcdf
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    write_netcdf(xarray.Dataset({"r": ("a", [1.0, 2.0])}), pathlib.Path(sys.argv[1]))
except OSError as error:
    print("reported", error.errno)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "a.nc")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"reported {errno.EFBIG}\n", "")


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be reserved")
def test_a_full_disk_is_noticed_before_hdf5_writes(tmp_path, monkeypatch):
    def full(_file, _start, size):
        assert size > VALUES.nbytes
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        write_netcdf(dataset(), tmp_path / "a.nc")
