"""The tutorials run from top to bottom, and show what is kept in them.

The kept outputs are made by ``python tests/tutorials/run.py``.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import nbformat
import pytest

sys.path.append(str(Path(__file__).parent))
agreement, execution = (importlib.import_module(name) for name in ("agreement", "execution"))

NOTEBOOKS = execution.notebooks()
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
TAGS = {"example-files", "yours", "npy", "nifti", "module", "machine", "trained"}
MACHINE_PATH = re.compile(
    r"(?<![\w.~-])(/(home|root|work|Users|mnt|opt)/|/tmp/(?!convergent-tutorials)|[A-Z]:\\)"
)
CODE = re.compile(r"```.*?```|`[^`]*`", re.S)
HTML_TAG = re.compile(r"</?\w+[ >]")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")

# notebooks that share what the first of them trains: they run one after the other
TRAINED = ("05", "06", "07")
GROUPS = [[path] for path in NOTEBOOKS if not path.stem.startswith(TRAINED)]
GROUPS.append([path for path in NOTEBOOKS if path.stem.startswith(TRAINED)])


def texts(output):
    """What an output says."""
    if "text" in output:
        return [output.text]
    return [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]


def test_the_tutorials_are_found():
    assert [path.name for path in NOTEBOOKS][:2] == [
        "01-first-score.ipynb",
        "02-your-own-data.ipynb",
    ]


@each
def test_holds_nothing_of_a_machine(path):
    notebook = execution.read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, cell.id
        tags = cell.metadata.get("tags", [])
        assert all(tag in TAGS or tag.startswith("data:") for tag in tags), cell.id
        said = [cell.source, *(text for one in cell.get("outputs", []) for text in texts(one))]
        assert not any(MACHINE_PATH.search(text) for text in said), cell.id


@each
def test_outputs_are_kept(path):
    notebook = execution.read(path)
    assert execution.faults(notebook) == []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@each
def test_begins_as_a_page(path):
    notebook = execution.read(path)
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    titles = [
        line
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("# ")
    ]
    assert titles == [first.source.splitlines()[0]]
    for part in ("What you will learn", "What you need", "How long it takes"):
        assert f"**{part}" in first.source
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not re.search(
                r"<\w+[ >]", re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.S)
            )
            for link in LINK.findall(cell.source):
                assert (path.parent / link).is_file(), link


@each
def test_text_follows_each_figure(path):
    cells = execution.read(path).cells
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            assert after is not None, cell.id
            assert after.cell_type == "markdown", cell.id


@pytest.mark.parametrize("part", ["npy", "nifti", "module"])
def test_own_data_take_at_most_15_lines(part):
    cells = [
        cell
        for cell in execution.read(execution.FOLDER / "02-your-own-data.ipynb").cells
        if "tags" in cell.metadata
    ]
    yours = [cell for cell in cells if {"yours", part} <= set(cell.metadata.tags)]
    lines = [line.strip() for cell in yours for line in cell.source.splitlines()]
    assert 0 < sum(bool(line) and not line.startswith("#") for line in lines) <= 15


@pytest.mark.slow
@pytest.mark.parametrize(
    "paths", GROUPS, ids=lambda paths: "-".join(path.stem[:2] for path in paths)
)
@pytest.mark.filterwarnings("default")  # of the kernel's machinery; ours are looked for in outputs
def test_shows_what_is_kept(paths, tmp_path):
    for path in paths:
        made = execution.executed(path, tmp_path)  # raises where a cell does
        assert execution.faults(made) == []
        kept = execution.read(path)
        assert agreement.differences(kept, made, agreement.present_or_absent) == []
