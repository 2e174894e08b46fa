"""Execution of a tutorial in a kernel of its own, so that another machine shows the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from agreement import png_size

__all__ = ["FOLDER", "KEPT_SIZE", "WIDEST", "executed", "faults", "notebooks", "read", "write"]

FOLDER = Path(__file__).parents[2] / "tutorials"
KEPT_SIZE = 1_500_000  # bytes of a notebook with its outputs
WIDEST = 1250  # pixels: 12 inches of 100 dots, and the margin that matplotlib's backend adds
_TIMEOUT = 3600  # seconds for a cell: machines can be busy
_ELSEWHERE = "/tmp"  # stands in kept outputs for the folder of temporary files


def notebooks() -> list[Path]:
    """The tutorials in their order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))


def read(path: Path) -> Any:
    """A notebook as it is on disk."""
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def write(notebook: Any, path: Path) -> None:
    """Write a notebook, as Jupyter does."""
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")


def executed(path: Path, work: Path) -> Any:
    """The notebook with the outputs of a run from top to bottom.

    Parameters
    ----------
    path : Path
        The notebook; its file stays as it is.
    work : Path
        A folder for temporary files: notebooks that are given the same one find there what an
        earlier one has trained.

    Returns
    -------
    NotebookNode
        With outputs that hold nothing of this machine but what was computed.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell does.
    RuntimeError
        If a file is left beside the notebook.
    """
    notebook = read(path)
    beside = work / f"beside-{path.stem}"
    beside.mkdir(parents=True)
    client = nbclient.NotebookClient(
        notebook,
        timeout=_TIMEOUT,
        kernel_name="python3",  # of this environment
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(beside)}},
    )
    client.execute(env=_environment(work))
    left = sorted(file.name for file in beside.iterdir())
    if left:
        raise RuntimeError(f"{path.name} leaves files beside it: {', '.join(left)}")
    beside.rmdir()
    return _tidy(notebook, work)


def faults(notebook: Any) -> list[str]:
    """What the outputs of a notebook must not hold.

    Parameters
    ----------
    notebook : NotebookNode
        With outputs.

    Returns
    -------
    list of str
        One line for each error, anything that was written to stderr (a warning, a progress bar),
        and figure that is too wide or shown twice; then if the file is too large, or holds fewer
        than two figures.
    """
    found, pictures = [], []
    for number, cell in enumerate(notebook.cells):
        here = f"cell {number} ({cell.id})"
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"{here} ends in {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                found.append(f"{here} writes to stderr: {output.text.strip()[:300]}")
            picture = output.get("data", {}).get("image/png")
            if picture:
                width, height = png_size(picture)
                if width > WIDEST:
                    found.append(f"{here} shows a figure of {width} x {height} pixels")
                if picture in pictures:
                    found.append(f"{here} shows a figure twice")
                pictures.append(picture)
    size = len(nbformat.writes(notebook).encode())
    if size > KEPT_SIZE:
        found.append(f"it has {size / 1e6:.1f} MB, and may have {KEPT_SIZE / 1e6:.1f} MB")
    if len(pictures) < 2:
        found.append(f"it shows {len(pictures)} figures, and has to show two or more")
    return found


def _environment(work: Path) -> Mapping[str, str]:
    return {
        **os.environ,
        "TMPDIR": str(work),
        # the notebooks' arrays are small: threads would wait for each other
        "OMP_NUM_THREADS": "1",
        # pooch imports tqdm's notebook bar, which asks for ipywidgets
        "PYTHONWARNINGS": "ignore:IProgress not found",
    }


def _tidy(notebook: Any, work: Path) -> Any:
    """Leave out what differs from run to run without a meaning."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {name: cell.metadata[name] for name in ("tags",) if name in cell.metadata}
        )
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
            if "text" in output:
                output.text = output.text.replace(str(work), _ELSEWHERE)
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output.data[kind] = content.replace(str(work), _ELSEWHERE)
    return notebook
