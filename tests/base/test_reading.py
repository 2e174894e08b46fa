"""Paths that a user gives: what is no file that may be read, and why."""

import os
import tempfile
from pathlib import Path

import pytest
from cases import nobody

from convergent import InputError
from convergent.base.reading import check_readable


def test_file_and_absent_file(tmp_path):
    (tmp_path / "a").touch()
    assert check_readable(str(tmp_path / "a")) == tmp_path / "a"
    with pytest.raises(InputError, match=r"there is no table .*/b\."):
        check_readable(tmp_path / "b", "table")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_special_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "linked").symlink_to(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "plain").touch()
    for path, told in {
        tmp_path / "pipe": "is a pipe, and no file",
        tmp_path / "linked": "is a pipe",
        tmp_path: "is a folder",
        Path("/dev/zero"): "is a device",
        tmp_path / "loop": "links lead in a circle",
        tmp_path / "plain" / "b": "a part of the path is a file",
        tmp_path / ("n" * 300): "shorten the name",
        "a\0b": "cannot be read .*correct the path",
    }.items():
        with pytest.raises(InputError, match=told):
            check_readable(path)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has no user ids")
def test_permission_is_not_damage():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        inner = Path(folder, "inner")
        inner.mkdir()
        files = (Path(folder, "a.pt"), inner / "b.pt")
        for file in files:
            file.touch()
        files[0].chmod(0)
        inner.chmod(0)
        Path(folder).chmod(0o755)
        for file in files:
            with nobody(), pytest.raises(InputError, match=r"permission denied.*right to read it"):
                check_readable(file)
