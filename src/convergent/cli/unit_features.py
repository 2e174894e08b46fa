"""Single units: ``convergent features``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import convergent as cv

from ..base.display import file_names, write_csv
from ..base.netcdf import write_netcdf
from .console import print_rows, print_table
from .inputs import OfRecording, check_images, extractor, images_for, two_sides
from .options import (
    BATCH_SIZE,
    DEVICE,
    FOLDS,
    SEED,
    AsJson,
    BatchSize,
    Bootstrap,
    Compared,
    Config,
    Device,
    Folds,
    Layers,
    LayersSecond,
    Out,
    Overwrite,
    Seed,
    Shuffle,
    Spatial,
    StimuliOfData,
    Where,
    WhereSecond,
    protocol,
    uncertainty,
)
from .places import Files, result_folder
from .runs import Run
from .steps import doing

__all__ = ["features"]

_COLUMNS = (
    "layer",
    "side",
    "n_units",
    "semi",
    "bipartite",
    "agreement",
    "shared",
    "unique",
    "few_responses",
)


def features(
    context: typer.Context,
    first: Compared,
    second: Compared,
    stimuli: StimuliOfData = None,
    layers: Layers = None,
    layers_second: LayersSecond = None,
    where: Where = None,
    where_second: WhereSecond = None,
    spatial: Spatial = "mean",
    clusters: Annotated[
        int | None, protocol(help="Number of clusters.", show_default="found by eigengap")
    ] = None,
    folds: Folds = FOLDS,
    seed: Seed = SEED,
    bootstrap: Bootstrap = 200,
    shuffle: Shuffle = 20,
    rotations: Annotated[
        int, uncertainty(help="Number of random rotations that units are compared with.")
    ] = 20,
    device: Device = DEVICE,
    batch_size: BatchSize = BATCH_SIZE,
    out: Out = None,
    config: Config = None,  # noqa: ARG001 (its callback reads it)
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Find what single units, and groups of units, have in common, layer by layer.

    The first layer of one side is compared with the first layer of the other, and so on; a
    recording is compared with each layer.
    """
    splits = cv.Folds(folds, seed)
    chance, resamples = cv.Shuffle(shuffle, seed), cv.Bootstrap(bootstrap, seed=seed)
    sides = two_sides((first, second), (layers, layers_second), (where, where_second))
    recorded = [side for side in sides if isinstance(side, OfRecording)]
    images = images_for(stimuli, recorded, needed=len(recorded) < 2)
    check_images(spatial, splits, images, recorded)
    folder = result_folder(out, as_json, Run.of(context, overwrite), "[0-9][0-9]-*-matches.nc")
    extract = extractor(spatial, batch_size, device, folder.study)
    responses = [side.populations(extract, images) for side in sides]
    with doing("features of units"):
        found = cv.features.overview(
            *responses,
            folds=splits,
            shuffle=chance,
            bootstrap=resamples,
            k=clusters,
            rotations=rotations,
            seed=seed,
            study=folder.study,
        )
    if as_json:
        print_rows(found.layers.to_dataframe().reset_index().to_dict("records"))
    else:
        units = found.table("matches")[list(_COLUMNS)].to_dict("records")
        print_table(f"units of {first} and {second}, on held-out stimuli", units)
        print_table("claims of arXiv 1511.07543", found.claims.to_dict("records"))
    title = f"Units of {first} and {second}"
    folder.write(lambda: _files(found, title, images, responses, folder.run))
    folder.write_study(*(one for steps in found.steps.values() for one in steps.values()))


def _files(
    found: cv.features.Overview,
    title: str,
    images: cv.Stimuli | None,
    responses: Sequence[Mapping[str, cv.Assembly]],
    run: Run,
) -> Files:
    """Tables, the page, and results and pictures of each layer."""
    figures = {layer: cv.plot.layer_figures(found, layer) for layer in found.steps}
    files: dict[str, Callable[[Path], object]] = {
        "overview.html": partial(cv.report, found, title=title, figures=figures),
        "claims.csv": partial(write_csv, found.claims),
        "layers.csv": partial(write_csv, found.layers.to_dataframe().reset_index()),
        **_picture("overview", cv.plot.overview(found)),
    }
    for kind in ("units", "matches", "sparse", "clusters"):
        files[f"{kind}.csv"] = partial(write_csv, found.table(kind))
    safe = file_names(found.steps)
    for number, layer in enumerate(found.steps):
        base = f"{number:02d}-{safe[layer]}"
        for step, result in found.steps[layer].items():
            kept = result.assign_attrs(run.attrs)
            files[f"{base}-{step}.nc"] = partial(write_netcdf, kept)
        for name, figure in figures[layer].items():
            files |= _picture(f"{base}-{name}", figure)
        if images is not None:
            one, other = (list(side.values())[number if len(side) > 1 else 0] for side in responses)
            matches, k = found.steps[layer]["matches"], min(5, len(images))
            best = cv.plot.best_stimuli(matches, one, other, images, k=k)
            files |= _picture(f"{base}-best-stimuli", best)
    return files


def _picture(name: str, figure: Any) -> dict[str, Callable[[Path], object]]:
    """A file of a figure, which pyplot no longer keeps."""
    from ..plot._figure import closed

    return {f"{name}.png": partial(closed(figure).savefig, dpi=120)}
