"""Where the commands write results, and keep finished work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import convergent as cv

from ..base.errors import InputError
from ..base.files import write_whole
from .console import note

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Files", "ResultFolder", "picture_files", "result_folder"]

Files = Mapping[str, Callable[[Path], object]]  # by name: a function that writes to a path


@dataclass(frozen=True)
class ResultFolder:
    """Folder for results and for a study of finished work; without a path nothing is kept."""

    path: Path | None

    @property
    def study(self) -> cv.Study | None:
        """The study in the folder."""
        return cv.Study(self.path / "study") if self.path else None

    def write(self, make: Callable[[], Files]) -> None:
        """Make files and write them, each whole or not at all; do nothing without a path."""
        if self.path is None:
            return
        files = make()
        for name, write in files.items():
            write_whole(self.path / name, write)
        names = list(files)
        more = f" and {len(names) - 5} more" if len(names) > 6 else ""
        note(f"written to {self.path}: {', '.join(names[:5] if more else names)}{more}")

    def write_result(
        self,
        name: str,
        found: xr.Dataset,
        table: pd.DataFrame,
        draw: Callable[[xr.Dataset], cv.plot.Picture] | None = None,
    ) -> None:
        """Write a result as netCDF, as a table, and as a picture if it can be drawn."""
        self.write(
            lambda: {
                f"{name}.nc": partial(found.to_netcdf, engine="h5netcdf"),
                f"{name}.csv": partial(table.to_csv, index=False),
                **(picture_files(name, draw(found)) if draw else {}),
            }
        )


def picture_files(name: str, figure: cv.plot.Picture) -> Files:
    """A picture as PNG and SVG."""
    return {f"{name}.png": partial(figure.savefig, dpi=150), f"{name}.svg": figure.savefig}


def result_folder(out: Path | None, as_json: bool) -> ResultFolder:
    """The folder that was asked for; by default ``results``, and with ``--json`` none."""
    path = out or (None if as_json else Path("results"))
    try:
        if path:
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {path} ({error}): choose another folder with --out."
        ) from error
    return ResultFolder(path)
