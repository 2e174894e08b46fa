"""The tutorials run from top to bottom, and are committed as they were written."""

from __future__ import annotations

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
MACHINE_PATH = re.compile(r"(?<![\w.~-])(/(home|root|work|tmp|Users|mnt|opt)/|[A-Z]:\\)")


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def test_the_tutorials_are_found():
    assert [path.name for path in NOTEBOOKS][:2] == [
        "01-first-score.ipynb",
        "02-your-own-data.ipynb",
    ]


@each
def test_holds_nothing_that_a_machine_made(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, cell.id
        assert not MACHINE_PATH.search(cell.source), cell.id
        if cell.cell_type == "code":
            assert cell.outputs == [], cell.id
            assert cell.execution_count is None, cell.id


@pytest.mark.parametrize("part", ["npy", "nifti"])
def test_own_data_take_at_most_15_lines(part):
    cells = [
        cell for cell in read(FOLDER / "02-your-own-data.ipynb").cells if "tags" in cell.metadata
    ]
    yours = [cell for cell in cells if {"yours", part} <= set(cell.metadata.tags)]
    lines = [line.strip() for cell in yours for line in cell.source.splitlines()]
    assert 0 < sum(bool(line) and not line.startswith("#") for line in lines) <= 15


@pytest.mark.slow
@each
@pytest.mark.filterwarnings("default")  # of the kernel's machinery; ours are looked for below
def test_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    # pooch imports tqdm's notebook bar, which asks for ipywidgets
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")
    notebook = read(path)
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()  # raises where a cell does
    pictures = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            told = output.text if output.output_type == "stream" and output.name == "stderr" else ""
            assert "Warning" not in told, f"{cell.id}: {told}"
            pictures += "image/png" in output.get("data", {})
    assert pictures >= 2
    assert not list(tmp_path.iterdir())  # nothing is left beside the notebook
