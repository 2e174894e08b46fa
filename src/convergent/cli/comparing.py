"""Populations with each other, in both directions: ``convergent compare``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import convergent as cv

from .completion import several_of
from .console import print_rows, print_table
from .inputs import OfRecording, check_images, extractor, images_for, two_sides
from .options import (
    BATCH_SIZE,
    DEVICE,
    FOLDS,
    REFERENCES,
    SEED,
    AsJson,
    BatchSize,
    By,
    Compared,
    Config,
    Device,
    Folds,
    Layers,
    LayersSecond,
    Out,
    Overwrite,
    Seed,
    Spatial,
    StimuliOfData,
    Where,
    WhereSecond,
    names_among,
    protocol,
)
from .places import result_folder
from .runs import Run
from .steps import doing
from .tables import Row

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compare"]


def compare(
    context: typer.Context,
    first: Compared,
    second: Compared,
    stimuli: StimuliOfData = None,
    layers: Layers = None,
    layers_second: LayersSecond = None,
    where: Where = None,
    where_second: WhereSecond = None,
    by: By = None,
    spatial: Spatial = "mean",
    references: Annotated[
        str,
        protocol(
            autocompletion=several_of(REFERENCES.split(",")),
            help="Reference measures, separated by commas.",
            show_default=REFERENCES.replace(",", ", "),
        ),
    ] = REFERENCES,
    folds: Folds = FOLDS,
    seed: Seed = SEED,
    device: Device = DEVICE,
    batch_size: BatchSize = BATCH_SIZE,
    out: Out = None,
    config: Config = None,  # noqa: ARG001 (its callback reads it)
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Measure distances and similarities between layers of networks, or recordings.

    Linear scores in both directions, Procrustes and soft-matching distances, and reference
    measures such as CKA and RSA.
    """
    splits = cv.Folds(folds, seed)
    chosen = names_among(references, "reference", REFERENCES.split(","))
    sides = two_sides((first, second), (layers, layers_second), (where, where_second))
    recorded = [side for side in sides if isinstance(side, OfRecording)]
    images = images_for(stimuli, recorded, needed=len(recorded) < 2)
    check_images(spatial, splits, images, recorded)
    folder = result_folder(out, as_json, Run.of(context, overwrite), "comparison.nc")
    extract = extractor(spatial, batch_size, device, folder.study)
    one, other = (
        side.parts(by)
        if isinstance(side, OfRecording)
        else extract(side.network, images, side.layers)
        for side in sides
    )
    with doing("measures"):
        found = cv.compare(one, other, folds=splits, references=chosen, device=device)
    table = found["value"].to_dataframe().reset_index()
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        for name in found["second"].values:
            title, names = f"{first} with {second}: {name}", list(found["first"].values)
            print_table(title, _measures(found.sel(second=name)), names)
    folder.write_result("comparison", found, table)
    folder.write_study(found)


def _measures(found: xr.Dataset) -> Sequence[Row]:
    """One row per measure, one column per population of the first side."""
    own = "measure", "kind"  # populations may have these names
    names = [f"{name} (first)" if name in own else name for name in found["first"].values]
    return [
        {"measure": measure, "kind": kind} | dict(zip(names, values, strict=True))
        for measure, kind, values in zip(
            found["measure"].values, found["kind"].values, found["value"].values, strict=True
        )
    ]
