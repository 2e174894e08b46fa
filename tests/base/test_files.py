"""Files: written completely or not at all, with nothing left behind."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
from cases import nobody

from convergent.base import files
from convergent.base.errors import InputError
from convergent.base.files import (
    check_space,
    check_writable,
    recover,
    remove_leftovers,
    write_whole,
)
from convergent.base.lock import held, if_free


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _folder_writer(text):
    def write(path):
        path.mkdir()
        (path / "a.txt").write_text(text)

    return write


def _killed_at_move(path, at, text):
    """Replace a folder in a process that is killed before or after its k-th move."""
    code = f"""
import os, pathlib
moves, replace = [], pathlib.Path.replace
def killing(self, target):
    moves.append(target)
    if len(moves) == {at[0]} and {at[1] == "before"}:
        os._exit(9)
    done = replace(self, target)
    if len(moves) == {at[0]}:
        os._exit(9)
    return done
pathlib.Path.replace = killing
from convergent.base.files import write_whole
def write(path):
    path.mkdir()
    (path / "a.txt").write_text({text!r})
write_whole(pathlib.Path({str(path)!r}), write)
"""
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


@pytest.mark.parametrize("at", [(1, "before"), (1, "after"), (2, "before"), (2, "after")])
def test_a_killed_replacement_loses_nothing(tmp_path, at):
    path = tmp_path / "store.zarr"
    write_whole(path, _folder_writer("old"))
    assert _killed_at_move(path, at, "new") == 9
    recover(path)
    expected = "old" if at == (1, "before") else "new"
    assert (path / "a.txt").read_text() == expected
    remove_leftovers(tmp_path)
    assert _names(tmp_path) == ["store.zarr"]
    assert (path / "a.txt").read_text() == expected


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_an_interrupted_replacement_loses_nothing(tmp_path, monkeypatch, kind):
    path, moves, replace = tmp_path / "store.zarr", [], files.Path.replace
    write_whole(path, _folder_writer("old"))

    def interrupted(self, target):
        moves.append(target)
        if len(moves) == 2:
            raise kind("between the moves")
        return replace(self, target)

    monkeypatch.setattr(files.Path, "replace", interrupted)
    with pytest.raises(kind, match="between"):
        write_whole(path, _folder_writer("new"))
    assert len(moves) == 3
    assert (path / "a.txt").read_text() == "old"
    assert _names(tmp_path) == ["store.zarr"]


def test_what_a_living_process_writes_is_no_leftover(tmp_path):
    def write(path):
        remove_leftovers(tmp_path)
        path.write_text("whole")

    write_whole(tmp_path / "a.txt", write)
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert _names(tmp_path) == ["a.txt"]


def test_files_of_the_user_are_no_leftovers(tmp_path):
    for name in (".a-part", ".part", ".backup-20260101.part", ".a-12345678.convergent-parts"):
        (tmp_path / name).mkdir()
    (tmp_path / ".a-12345678.convergent-part").write_text("a file")
    (tmp_path / ".lock").write_text("of another program")
    before = _names(tmp_path)
    remove_leftovers(tmp_path)
    assert _names(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["[a]*?.txt", "?" * 12, "a" * 250, "-", ".hidden", "é\u202e.txt", "\U0001f9e0" * 60]
)
def test_any_name_is_written(tmp_path, name):
    write_whole(tmp_path / name, lambda path: path.write_text("x"))
    assert _names(tmp_path) == [name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_lack_of_space_is_reported_and_keeps_what_was_there(tmp_path, code):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write(_):
        raise OSError(code, os.strerror(code))

    with pytest.raises(InputError, match=r"a\.txt could not be written: there is no space"):
        write_whole(path, write)
    assert path.read_text() == "before"
    assert _names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_reported_whatever_a_library_says(tmp_path, monkeypatch):
    def write(_):
        raise RuntimeError("unexpected position 576 instead of 534")

    with pytest.raises(RuntimeError, match="unexpected position"):
        write_whole(tmp_path / "a.pt", write)
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match=r"a\.pt could not be written: the disk is full"):
        write_whole(tmp_path / "a.pt", write)


def test_errors_about_something_else_pass(tmp_path):
    def write(_):
        raise FileNotFoundError(errno.ENOENT, "no such file", str(tmp_path / "source.zarr"))

    with pytest.raises(FileNotFoundError, match="source"):
        write_whole(tmp_path / "a.txt", write)


def test_folders_that_cannot_be_written_to_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", files.Path("/proc/nowhere")):
        with pytest.raises(InputError, match="could not be written"):
            check_writable(folder)
    with pytest.raises(InputError, match=r"/file is a file and no folder\. Remove it"):
        check_writable(tmp_path / "file" / "below")
    check_writable(tmp_path / "new")
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize("before", [True, False])
def test_what_a_link_leads_to_is_replaced(tmp_path, before):
    disk, here = tmp_path / "disk", tmp_path / "here"
    disk.mkdir()
    here.mkdir()
    for name in ("file", "folder"):
        (here / name).symlink_to(disk / name)
    if before:
        (disk / "file").write_text("old")
        _folder_writer("old")(disk / "folder")
    write_whole(here / "file", lambda path: path.write_text("new"))
    write_whole(here / "folder", _folder_writer("new"))
    assert all((here / name).is_symlink() for name in ("file", "folder"))
    assert (disk / "file").read_text() == (disk / "folder" / "a.txt").read_text() == "new"
    assert _names(disk) == _names(here) == ["file", "folder"]


def test_a_path_is_that_of_the_working_folder_at_first(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")

    def write(path):
        os.chdir(tmp_path / "b")
        path.write_text("x")

    write_whole(files.Path("f.txt"), write)
    assert (_names(tmp_path / "a"), _names(tmp_path / "b")) == (["f.txt"], [])


def test_a_file_system_that_does_not_know_its_space_is_not_full(tmp_path, monkeypatch):
    unknown = shutil.disk_usage(tmp_path)._replace(total=0, used=0, free=0)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: unknown)
    check_space(tmp_path, 1000, "the scores")

    def write(_):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        write_whole(tmp_path / "a.txt", write)


def test_space_is_checked_before_work(tmp_path):
    check_space(tmp_path, 1000, "the scores")
    with pytest.raises(InputError, match=r"the scores need 1e\+03 TB.* left"):
        check_space(tmp_path, 10**15, "the scores")


def test_a_lock_says_who_holds_a_folder(tmp_path):
    with held(tmp_path, "convergent score"):
        with pytest.raises(
            InputError, match=rf"convergent score \(process {os.getpid()} on .*since"
        ):
            held(tmp_path, "convergent compare").__enter__()
        with if_free(tmp_path) as free:
            assert not free
    with held(tmp_path, "convergent compare"):
        pass
    assert not _names(tmp_path)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has no user ids")
def test_a_lock_that_another_user_left_is_removed():
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to other users
        folder = files.Path(name)
        (folder / ".convergent-lock").touch(mode=0o444)
        folder.chmod(0o777)
        with nobody(), held(folder, "convergent score"):
            assert str(os.getpid()) in (folder / ".convergent-lock").read_text()
        assert _names(folder) == []


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has no user ids")
def test_a_lock_of_another_user_that_stays_is_named():
    with tempfile.TemporaryDirectory() as name:
        folder = files.Path(name)
        (folder / ".convergent-lock").touch(mode=0o444)
        folder.chmod(0o555)
        with nobody(), pytest.raises(InputError, match=r"convergent-lock.*ask its owner"):
            held(folder, "x").__enter__()
        folder.chmod(0o777)


def test_a_lock_ends_with_its_process(tmp_path):
    code = f"""
import pathlib, time
from convergent.base.lock import held
with held(pathlib.Path({str(tmp_path)!r}), "another command"):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=rf"another command \(process {owner.pid}"):
            held(tmp_path, "this one").__enter__()
        owner.send_signal(signal.SIGKILL)
    assert _names(tmp_path) == [".convergent-lock"]
    with held(tmp_path, "this one"), if_free(tmp_path) as free:
        assert not free
        remove_leftovers(tmp_path)
        assert _names(tmp_path) == [".convergent-lock"]
    (tmp_path / ".convergent-lock").write_text("left by a killed process")
    remove_leftovers(tmp_path)
    assert not _names(tmp_path)
