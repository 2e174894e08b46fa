"""Where the commands write results, and keep finished work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import convergent as cv

from ..base.display import write_csv
from ..base.errors import InputError
from ..base.files import check_writable, remove_leftovers, write_whole
from ..base.lock import held
from ..base.netcdf import write_netcdf
from .console import command_line, note
from .runs import Run
from .steps import doing, keeps
from .study_files import changed_inputs, study_name, study_text

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Files", "ResultFolder", "picture_files", "result_folder"]

Files = Mapping[str, Callable[[Path], object]]  # by name: a function that writes to a path


@dataclass(frozen=True)
class ResultFolder:
    """Folder for results and for a study of finished work; without a path nothing is kept.

    Attributes
    ----------
    path : Path or None
        The folder.
    run : Run
        What was asked.
    results : tuple of str
        Patterns of the files that hold results.
    """

    path: Path | None
    run: Run
    results: tuple[str, ...]

    @property
    def study(self) -> cv.Study | None:
        """The study in the folder."""
        return cv.Study(self.path / "study") if self.path else None

    def write(self, make: Callable[[], Files]) -> None:
        """Make files and write them, each whole or not at all; do nothing without a path."""
        if self.path is None:
            return
        with doing(f"drawing, and writing to {self.path}"):
            files = make()
            self._remove_other(files)
            for name, write in files.items():
                write_whole(self.path / name, write)
        names = list(files)
        more = f" and {len(names) - 5} more" if len(names) > 6 else ""
        note(f"written to {self.path}: {', '.join(names[:5] if more else names)}{more}")

    def write_study(self, *results: xr.Dataset) -> None:
        """Write the study file that repeats the run; do nothing without a path.

        Parameters
        ----------
        *results : Dataset
            What the run found: hashes of its inputs are in their attrs.
        """
        if self.path is None:
            return
        context = self.run.context
        found = [result.attrs["provenance"] for result in results if "provenance" in result.attrs]
        if warning := changed_inputs(context, found):
            note(f"warning: {warning}")
        path = self.path / study_name(self.path, self.run.command)
        try:
            text = study_text(context, found, str(path))
        except InputError as error:
            note(f"warning: no study file was written: {error}")
            return
        write_whole(path, lambda file: file.write_text(text, encoding="utf-8"))
        note(f"to repeat this run: {command_line('run', path)}")

    def _remove_other(self, files: Files) -> None:
        """Remove what another run wrote for each layer, where its layers had other names."""
        for pattern in self.results if self.path and self.run.overwrite else ():
            start, several, _ = pattern.partition("*")
            for file in self.path.glob(f"{start}*") if self.path and several else ():
                if file.name not in files:
                    file.unlink()

    def write_result(
        self,
        name: str,
        found: xr.Dataset,
        table: pd.DataFrame,
        draw: Callable[[xr.Dataset], cv.plot.Picture] | None = None,
    ) -> None:
        """Write a result as netCDF, as a table, and as a picture if it can be drawn."""
        found = found.assign_attrs(self.run.attrs)
        self.write(
            lambda: {
                f"{name}.nc": partial(write_netcdf, found),
                f"{name}.csv": partial(write_csv, table),
                **(picture_files(name, draw(found)) if draw else {}),
            }
        )


def picture_files(name: str, figure: cv.plot.Picture) -> Files:
    """A picture as PNG and SVG."""
    return {f"{name}.png": partial(figure.savefig, dpi=150), f"{name}.svg": figure.savefig}


def result_folder(out: Path | None, as_json: bool, run: Run, *results: str) -> ResultFolder:
    """The folder that was asked for; by default ``results``, and with ``--json`` none.

    It is held until the command ends, so that results of two commands are never mixed.

    Parameters
    ----------
    out : Path or None
        As the user gave it.
    as_json : bool
        Whether only rows are asked for.
    run : Run
        What was asked.
    *results : str
        Names, or patterns, of the files that will hold results.

    Raises
    ------
    InputError
        If the folder cannot be written to, another process writes to it, or it holds such results
        of another run.
    """
    path = out or (None if as_json else Path("results"))
    if path is None:
        return ResultFolder(None, run, results)
    check_writable(path / "study")
    keeps("finished work", path / "study")
    run.context.with_resource(held(path / "study", f"convergent {run.command}"))
    remove_leftovers(path)
    for file in (file for pattern in results for file in sorted(path.glob(pattern))):
        run.check(file)
    return ResultFolder(path, run, results)
