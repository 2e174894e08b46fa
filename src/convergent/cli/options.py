"""What the commands share: the application, options, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import InputError, unknown
from ..data import catalog
from ..data.assembly import Assembly, open_assembly
from ..data.stimuli import Stimuli
from ..images.drawings import drawings
from ..metrics.table import METRICS
from ..networks.pooling import SPATIAL
from ..networks.training import HELD_OUT_SEED

__all__ = [
    "EVERY_METRIC",
    "N_DRAWINGS",
    "AsJson",
    "BatchSize",
    "Device",
    "MetricNames",
    "NumberOfFolds",
    "Out",
    "Seed",
    "Spatial",
    "app",
    "images_named",
    "parts_of",
    "recording_named",
]

N_DRAWINGS = 600  # that are shown where no others are named

app = typer.Typer(
    help="Does this network represent the world as that brain, or that other network, does?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

EVERY_METRIC = ",".join(METRICS)

# options that several commands have
AsJson = Annotated[
    bool, typer.Option("--json", help="Print rows as JSON on stdout, and nothing else.")
]

BatchSize = Annotated[int, typer.Option(help="Stimuli shown at once.")]
Device = Annotated[str, typer.Option(help="Where torch computes, e.g. cuda.")]
MetricNames = Annotated[str, typer.Option(help="Names, with commas.")]
NumberOfFolds = Annotated[int, typer.Option(help="Number of folds.")]

Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder for tables and pictures, and for what is finished: called again, only "
        "what is missing is done [default: results]."
    ),
]

Seed = Annotated[int, typer.Option(help="Draws the folds, and all resamples.")]

Spatial = Annotated[
    str, typer.Option(help=f"Positions of a layer: {', '.join(SPATIAL)}, positions-N.")
]


def parts_of(text: str) -> list[str]:
    """Words between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def recording_named(name: str, images: Path | None) -> tuple[Stimuli, Assembly]:
    """Stimuli and recording, from the catalogue or from a saved assembly."""
    if name.rstrip("/").endswith((".nc", ".zarr")):
        if images is None:
            raise InputError(
                f"the images that go with {name} are missing: add --stimuli FOLDER or ZIP."
            )
        opened = Stimuli.from_folder(images) if images.is_dir() else Stimuli.from_zip(images)
        return opened, open_assembly(name)
    data_set, _, session = name.partition("/")
    return catalog.load(data_set, session or None)


def images_named(name: str) -> Stimuli:
    """Stimuli of a data set, in a folder or zip, or drawings that no training has seen."""
    if name == "drawings":
        return drawings(N_DRAWINGS, seed=HELD_OUT_SEED)
    path = Path(name)
    if path.is_dir():
        return Stimuli.from_folder(path)
    if path.suffix == ".zip":
        return Stimuli.from_zip(path)
    if name.partition("/")[0] not in catalog.cards():
        raise unknown("data set, folder or zip", name, [*catalog.cards(), "drawings"])
    return recording_named(name, None)[0]
