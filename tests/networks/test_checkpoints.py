"""Checkpoints in a folder: which files, in which order, and what is said where none fit."""

import pytest

from convergent import InputError, checkpoints, common_steps


def folder_with(path, *names):
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).touch()
    return path


def test_found_by_number_not_by_name(tmp_path):
    names = ["epoch-10.pt", "epoch-9.5.pt", "epoch-00.125.pt", "epoch-0.pt"]
    folder = folder_with(tmp_path, *names, "log.csv", "epoch-last.pt", "xepoch-3.pt", "epoch-4.ptx")
    (folder / "epoch-77.pt").mkdir()
    found = checkpoints(folder)
    assert list(found) == [0.0, 0.125, 9.5, 10.0]
    assert [path.name for path in found.values()] == [names[i] for i in (3, 2, 1, 0)]
    assert all(path.parent == folder for path in found.values())


def test_pattern_is_taken_literally_around_the_number(tmp_path):
    folder = folder_with(tmp_path, "a+b_20.[x]", "aab_30.[x]", "a+b_40x[x]")
    assert list(checkpoints(folder, "a+b_{step}.[x]")) == [20.0]


@pytest.mark.parametrize("pattern", ["epoch.pt", "{step}-{step}.pt", "", "sub/{step}.pt"])
def test_pattern_has_one_number(tmp_path, pattern):
    with pytest.raises(InputError, match=r"not a file name with one \{step\}"):
        checkpoints(tmp_path, pattern)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        checkpoints(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"the folder .*file' cannot be read .Not a directory"):
        checkpoints(tmp_path / "file")


def test_no_file_fits(tmp_path):
    with pytest.raises(InputError, match="it holds no files"):
        checkpoints(tmp_path)
    folder = folder_with(tmp_path, "a.pt", "b.pt", "c.pt", "d.pt")
    with pytest.raises(InputError, match=r"'a.pt', 'b.pt', 'c.pt' and 1 more"):
        checkpoints(folder)


def test_two_files_of_one_step(tmp_path):
    folder = folder_with(tmp_path, "epoch-1.pt", "epoch-01.0.pt")
    with pytest.raises(InputError, match=r"step 1, 'epoch-01.0.pt' and 'epoch-1.pt'"):
        checkpoints(folder)


def test_common_steps(tmp_path):
    one = checkpoints(folder_with(tmp_path / "one", "epoch-2.pt", "epoch-0.5.pt"))
    other = checkpoints(folder_with(tmp_path / "other", "m2.pt", "m0.50.pt"), "m{step}.pt")
    assert common_steps({"one": one, "other": other}) == [0.5, 2.0]
    del other[2.0]
    with pytest.raises(InputError, match=r"different steps \(other lacks '2'\)"):
        common_steps({"one": one, "other": other})
    with pytest.raises(InputError, match="runs is empty"):
        common_steps({})
