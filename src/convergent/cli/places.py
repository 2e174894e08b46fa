"""Where commands write what they find, and keep what is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from ..base.study import Study
from ..data.assembly import Assembly
from ..data.positions import keeps_positions
from ..data.stimuli import Stimuli
from ..networks.extraction import extract
from ..networks.network import Network
from ..networks.pooling import treatment
from ..plot._figure import Picture
from ..protocol.folds import Folds
from .console import make_folder, note, write_all

__all__ = ["Place", "check_positions", "make_place"]


@dataclass(frozen=True)
class Place:
    """Where results go, and what is finished is kept; nowhere where rows alone are printed."""

    folder: Path | None
    study: Study | None

    def show(
        self, net: Network, stimuli: Stimuli, layers: Sequence[str], **options: Any
    ) -> dict[str, Assembly]:
        """Activations, kept where there is a place for them."""
        return extract(net, stimuli, layers, study=self.study, **options)

    def write(
        self,
        results: Mapping[str, tuple[xr.Dataset, pd.DataFrame, Callable[[xr.Dataset], Picture]]],
    ) -> None:
        """Write results, tables and pictures, each whole or not at all."""
        if self.folder is None:
            return
        for name, (found, table, draw) in results.items():
            figure = draw(found)
            names = write_all(
                self.folder,
                {
                    f"{name}.nc": partial(found.to_netcdf, engine="h5netcdf"),
                    f"{name}.csv": partial(table.to_csv, index=False),
                    f"{name}.png": partial(figure.savefig, dpi=150),
                    f"{name}.svg": figure.savefig,
                },
            )
            note(f"written to {self.folder}: {', '.join(names)}")


def make_place(out: Path | None, as_json: bool) -> Place:
    """The folder that is asked for; where only rows are printed, none by default."""
    folder = make_folder(out or (None if as_json else Path("results")))
    return Place(folder, Study(folder / "study") if folder else None)


def check_positions(spatial: str, splits: Folds, n_images: int) -> None:
    """What can be wrong with these is told before a network is shown anything."""
    treatment(spatial)
    if not keeps_positions(spatial):  # else there are more stimuli than images
        splits.split(n_images)
