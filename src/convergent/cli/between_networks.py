"""Networks with networks: ``convergent hierarchy``, ``shift`` and ``trajectory``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

import convergent as cv

from ..base.errors import InputError
from .completion import network, several_of
from .console import note, print_line, print_rows, print_table
from .inputs import (
    OfNetwork,
    check_images,
    extractor,
    images_named,
    network_with_layers,
    two_networks,
)
from .options import (
    BATCH_SIZE,
    DEVICE,
    DISTORTIONS,
    FOLDS,
    METRICS,
    REFITS,
    SEED,
    STIMULI,
    AsJson,
    BatchSize,
    Bootstrap,
    Config,
    Device,
    First,
    Folds,
    Layers,
    LayersSecond,
    Metrics,
    Out,
    Overwrite,
    Refits,
    Second,
    Seed,
    Shuffle,
    Spatial,
    Stimuli,
    compared,
    home,
    make_protocol,
    names_among,
    protocol,
    settings_of,
)
from .places import result_folder
from .runs import Run
from .steps import doing
from .tables import Row
from .trainings import Training, accuracies, check_classes, trainings_named

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["hierarchy", "shift", "trajectory"]


def hierarchy(
    context: typer.Context,
    first: First,
    second: Second,
    stimuli: Stimuli = STIMULI,
    layers: Layers = None,
    layers_second: LayersSecond = None,
    spatial: Spatial = "mean",
    metrics: Metrics = METRICS,
    folds: Folds = FOLDS,
    seed: Seed = SEED,
    bootstrap: Bootstrap = 0,
    refits: Refits = REFITS,
    shuffle: Shuffle = 0,
    device: Device = DEVICE,
    batch_size: BatchSize = BATCH_SIZE,
    out: Out = None,
    config: Config = None,  # noqa: ARG001 (its callback reads it)
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Find which layer of one network corresponds to which layer of another.

    Each layer of the first is scored against each layer of the second.
    """
    settled = make_protocol(
        metrics, cv.Folds(folds, seed), bootstrap=bootstrap, refits=refits, shuffle=shuffle
    )
    networks = two_networks(first, second, layers, layers_second)
    images = images_named(stimuli)
    check_images(spatial, settled.folds, images)
    folder = result_folder(out, as_json, Run.of(context, overwrite), "hierarchy.nc")
    extract = extractor(spatial, batch_size, device, folder.study)
    one, other = (extract(each.network, images, each.layers) for each in networks)
    settings = settings_of(settled, "shuffle", device=device, study=folder.study)
    with doing("forecast of the time"):
        cost = cv.forecast(one, other, ceiling="self", **settings)
    note(f"to score: {cost}")
    with doing("scores"):
        found = cv.hierarchy(one, other, **settings)
    columns = ["r", "ceiling", "normalized"]
    table = found[columns].to_dataframe().reset_index()
    table = table[["metric", "source", "target", *columns]]
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        print_table(
            f"layers of {second}, and their counterparts in {first}", _correspondence(found)
        )
        print_line(f"rank correlation of depths: {_depth_correlations(found)}")
    folder.write_result("hierarchy", found, table, cv.plot.hierarchy)
    folder.write_study(found)


def shift(
    context: typer.Context,
    first: First,
    second: Second,
    stimuli: Stimuli = STIMULI,
    distortion: Annotated[
        str,
        compared(
            autocompletion=several_of([*DISTORTIONS, "all"]),
            help=f"Distortions, separated by commas, or all: {', '.join(DISTORTIONS)}.",
        ),
    ] = "low-pass",
    folder: Annotated[
        list[str] | None,
        compared(
            callback=home,
            help="Instead of distortions: KIND=FOLDER of images with the same names, the control "
            "first; two or more times.",
        ),
    ] = None,
    layers: Layers = None,
    layers_second: LayersSecond = None,
    spatial: Spatial = "mean",
    metrics: Metrics = METRICS,
    folds: Folds = FOLDS,
    seed: Seed = SEED,
    bootstrap: Bootstrap = 0,
    refits: Refits = REFITS,
    device: Device = DEVICE,
    batch_size: BatchSize = BATCH_SIZE,
    out: Out = None,
    config: Config = None,  # noqa: ARG001 (its callback reads it)
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Measure how distorted images change the alignment of two networks, layer by layer.

    Maps are fitted on the undistorted images, and again on the distorted ones. The first layer of
    one network is scored against the first layer of the other, and so on.
    """
    settled = make_protocol(metrics, cv.Folds(folds, seed), bootstrap=bootstrap, refits=refits)
    sets = _folders(folder) if folder else _distorted(stimuli, distortion, seed)
    for images in (images for levels in sets.values() for images in levels.values()):
        check_images(spatial, settled.folds, images)
    networks = two_networks(first, second, layers, layers_second)
    _check_as_many(networks, (first, second))
    files = (f"shift-{name}.nc" for name in sets)
    results = result_folder(out, as_json, Run.of(context, overwrite, "distortion"), *files)
    extract = extractor(spatial, batch_size, device, results.study)
    settings = settings_of(settled, device=device, study=results.study)
    rows: list[Row] = []
    found_all = []
    for name, levels in sets.items():
        one, other = (
            {x: extract(each.network, images, each.layers) for x, images in levels.items()}
            for each in networks
        )
        with doing(f"scores of {name}"):
            found = cv.shift(one, other, **settings)
        found_all.append(found)
        table = found[["r", "drop"]].to_dataframe()[["r", "drop"]].reset_index()
        rows += table.assign(distortion=name).to_dict("records")
        if not as_json:
            print_table(f"{second}, predicted by {first}: {name}", _slopes(found))
        draw = partial(cv.plot.shift, unit=_unit(name))
        results.write_result(f"shift-{name}", found, table, draw)
    results.write_study(*found_all)
    if as_json:
        print_rows(rows)


def trajectory(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(
            callback=home,
            autocompletion=network,
            help="Trainings: NETWORK=FOLDER, two or more times.",
        ),
    ],
    pattern: Annotated[
        str, compared(help="Name of the files of weights, with {step} for the number.")
    ] = "epoch-{step}.pt",
    early: Annotated[float, protocol(help="Step at which the first epoch ends.")] = 1.0,
    stimuli: Stimuli = "drawings",
    layers: Layers = None,
    spatial: Spatial = "mean",
    metrics: Metrics = METRICS,
    folds: Folds = FOLDS,
    seed: Seed = SEED,
    bootstrap: Bootstrap = 0,
    refits: Refits = REFITS,
    device: Device = DEVICE,
    batch_size: BatchSize = BATCH_SIZE,
    out: Out = None,
    config: Config = None,  # noqa: ARG001 (its callback reads it)
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Score checkpoints of trainings against each other, to see when alignment emerges.

    The result includes accuracy if the folders hold the log.csv that convergent train writes.
    """
    settled = make_protocol(metrics, cv.Folds(folds, seed), bootstrap=bootstrap, refits=refits)
    trainings = trainings_named(runs, pattern)
    steps = _steps(trainings, early)
    if layers is None:
        check_classes(trainings)
    images = images_named(stimuli)
    check_images(spatial, settled.folds, images)
    folder = result_folder(out, as_json, Run.of(context, overwrite), "trajectory.nc")
    extract = extractor(spatial, batch_size, device, folder.study)
    responses: dict[str, dict[float, dict[str, cv.Assembly]]] = {run: {} for run in trainings}
    for run, training in trainings.items():
        for step in steps:
            side = network_with_layers(f"{training.network}={training.files[step]}", layers)
            responses[run][step] = extract(side.network, images, side.layers)
    settings = settings_of(settled, device=device, study=folder.study)
    accuracy = accuracies(trainings, steps)
    with doing("scores"):
        found = cv.trajectory(responses, early=early, accuracy=accuracy, **settings)
    table = found["r"].to_dataframe()[["r"]].reset_index()
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        print_table(f"share of the final alignment at step {early:g}", _shares(found))
    folder.write_result("trajectory", found, table, cv.plot.trajectory)
    folder.write_study(found)


def _steps(trainings: Mapping[str, Training], early: float) -> list[float]:
    """Steps that all trainings have, among them the end of the first epoch."""
    steps = cv.common_steps({run: training.files for run, training in trainings.items()})
    if early not in steps:
        raise InputError(
            f"--early {early:g} is none of the steps {', '.join(f'{step:g}' for step in steps)}: "
            "give the one at which the first epoch ends."
        )
    return steps


def _check_as_many(networks: Sequence[OfNetwork], names: tuple[str, str]) -> None:
    """Refuse networks with different numbers of layers."""
    one, other = (len(each.layers) for each in networks)
    if one != other:
        raise InputError(
            f"{names[0]} has {one} layers and {names[1]} {other}: layers are compared in pairs, "
            "first with first, so choose as many of both with --layers and --layers-second."
        )


def _distorted(stimuli: str, names: str, seed: int) -> dict[str, dict[Any, cv.Stimuli]]:
    """Images at all levels of some distortions."""
    known = list(cv.DISTORTIONS)
    chosen = known if names == "all" else names_among(names, "distortion", known)
    images = images_named(stimuli)
    return {
        name: {x: cv.distort(images, name, x, seed=seed) for x in cv.DISTORTIONS[name].levels}
        for name in chosen
    }


def _folders(given: Sequence[str]) -> dict[str, dict[Any, cv.Stimuli]]:
    """Images of several kinds, each in a folder."""
    kinds = dict(one.partition("=")[::2] for one in given)
    if len(kinds) < len(given) or len(kinds) < 2 or not all(kinds.values()):
        raise InputError(
            f"--folder {' --folder '.join(given)}: give KIND=FOLDER two or more times, the control "
            "first, each kind once, as in --folder photo=photos --folder sketch=sketches."
        )
    return {"folders": {kind: cv.Stimuli.from_folder(path) for kind, path in kinds.items()}}


def _unit(name: str) -> str:
    """What the levels of a distortion are, for the axis of a picture."""
    if name not in cv.DISTORTIONS:
        return "kind of image"
    return cv.DISTORTIONS[name].unit or name


def _correspondence(found: xr.Dataset) -> Sequence[Row]:
    """Counterpart of each layer: the layer of the other network that predicts it best."""
    rows = []
    for metric in found["metric"].values:
        part = found.sel(metric=metric)
        for target, partner in zip(
            part["target"].values, part["partner_of_target"].values, strict=True
        ):
            row = {"metric": metric, "layer": target, "counterpart": partner}
            if not partner:  # a layer without any score
                rows.append(row)
                continue
            of_pair = part.sel(target=target, source=partner)
            row |= {name: float(of_pair[name]) for name in ("r", "normalized")}
            if "sure_of_target" in part:
                row["share of resamples"] = float(of_pair["sure_of_target"])
            rows.append(row)
    return rows


def _depth_correlations(found: xr.Dataset) -> str:
    """Rank correlation of the depths of layers and counterparts, by each metric."""
    values = zip(found["metric"].values, found["depth_correlation"].values, strict=True)
    return ", ".join(f"{metric} {value:.3f}" for metric, value in values)


def _slopes(found: xr.Dataset) -> Sequence[Row]:
    """Drop of the first and of the last layer at each level, and the slope over depth."""
    rows = []
    for metric in found["metric"].values:
        for fitted in found["map"].values:
            for level in found["level"].values:
                part = found.sel({"metric": metric, "map": fitted, "level": level})
                drop = part["drop"].values
                row = {"metric": metric, "map": fitted, "level": level}
                row |= {"drop of first layer": float(drop[0]), "of last": float(drop[-1])}
                row["slope"] = float(part["slope"])
                if "slope_low" in part:
                    row |= {end: float(part[f"slope_{end}"]) for end in ("low", "high")}
                rows.append(row)
    return rows


def _shares(found: xr.Dataset) -> Sequence[Row]:
    """Share of its growth that alignment has early, over all layers."""
    names = {"share_overall": "share", "share_overall_low": "low", "share_overall_high": "high"}
    known = [name for name in names if name in found]
    table = found[known].to_dataframe()[known].rename(columns=names).reset_index()
    return list(table.to_dict("records"))
