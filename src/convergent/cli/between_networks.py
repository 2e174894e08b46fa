"""Networks with networks: ``compare``, ``shift``, ``trajectory``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import xarray as xr

from .. import plot
from ..base.errors import InputError, examples, unknown
from ..data.assembly import Assembly
from ..data.stimuli import Stimuli
from ..experiments.conditions import common_steps
from ..experiments.hierarchy import hierarchy
from ..experiments.shift import shift as shift_layers
from ..experiments.trajectory import trajectory as follow
from ..images.distortions import DISTORTIONS, distort
from ..metrics.table import named_metrics
from ..networks.checkpoints import checkpoints
from ..networks.extraction import check_layers
from ..networks.known import network as get_network
from ..networks.network import Network
from ..networks.training_files import LOG, SETTINGS
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle
from ..scoring.forecast import forecast
from .console import note, print_rows, print_table
from .options import (
    EVERY_METRIC,
    AsJson,
    BatchSize,
    Device,
    MetricNames,
    NumberOfFolds,
    Out,
    Seed,
    Spatial,
    app,
    images_named,
    parts_of,
)
from .places import check_positions, make_place

__all__ = [
    "First",
    "LayersFirst",
    "LayersSecond",
    "Refits",
    "Resampled",
    "Second",
    "Shown",
    "compare",
    "shift",
    "trajectory",
]

First = Annotated[str, typer.Argument(help="Network that is mapped: NAME, or NAME=CHECKPOINT.")]
Second = Annotated[str, typer.Argument(help="Network that is predicted: the same.")]

Shown = Annotated[
    str,
    typer.Option(
        help="What is shown: NAME or NAME/SESSION of a data set, a folder, a zip, or drawings."
    ),
]

LayersFirst = Annotated[
    str | None, typer.Option("--layers", help="Of the first, from first to last, with commas.")
]

LayersSecond = Annotated[
    str | None,
    typer.Option(help="Of the second; as of the first where both are one network."),
]

Resampled = Annotated[
    int, typer.Option("--bootstrap", help="Resamples of the stimuli, for intervals; 0 for none.")
]

Refits = Annotated[
    int, typer.Option(help="Resamples in which maps are fitted anew; as many times slower.")
]


@app.command()
def compare(
    first: First,
    second: Second,
    stimuli: Shown = "virtual-cortex",
    layers: LayersFirst = None,
    layers_second: LayersSecond = None,
    spatial: Spatial = "mean",
    metrics: MetricNames = EVERY_METRIC,
    folds: NumberOfFolds = 5,
    seed: Seed = 0,
    bootstrap: Resampled = 0,
    refits: Refits = 20,
    shuffle: Annotated[int, typer.Option(help="Shuffles of the stimuli; 0 for none.")] = 0,
    device: Device = "cpu",
    batch_size: BatchSize = 32,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score each layer of a network against each of another: which corresponds to which."""
    images = images_named(stimuli)
    chosen, splits = named_metrics(parts_of(metrics)), Folds(folds, seed)
    check_positions(spatial, splits, len(images))
    place = make_place(out, as_json)
    show = partial(place.show, spatial=spatial, batch_size=batch_size, device=device)
    asked = _asked(first, second, layers, layers_second)
    one, other = (show(net, images, names) for net, names in asked)
    note(f"to score: {forecast(one, other, chosen, folds=splits)}")
    found = hierarchy(
        one,
        other,
        metrics=chosen,
        folds=splits,
        bootstrap=_bootstrap(bootstrap, refits, seed),
        shuffle=Shuffle(shuffle, seed) if shuffle else None,
        device=device,
        study=place.study,
    )
    cell = ["metric", "source", "target"]
    table = found[["r", "ceiling", "normalized"]].to_dataframe().reset_index()
    table = table[[*cell, "r", "ceiling", "normalized"]]
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        print_table(f"{second}, predicted by {first}", _correspondence(found))
    place.write({"hierarchy": (found, table, plot.hierarchy)})


@app.command()
def shift(
    first: First,
    second: Second,
    stimuli: Shown = "virtual-cortex",
    distortion: Annotated[
        str, typer.Option(help=f"With commas, or all: {', '.join(DISTORTIONS)}.")
    ] = "low-pass",
    folder: Annotated[
        list[str] | None,
        typer.Option(
            help="In place of a distortion, KIND=FOLDER of images with the same names, the control "
            "first; two or more times."
        ),
    ] = None,
    layers: LayersFirst = None,
    layers_second: LayersSecond = None,
    spatial: Spatial = "mean",
    metrics: MetricNames = EVERY_METRIC,
    folds: NumberOfFolds = 5,
    seed: Seed = 0,
    bootstrap: Resampled = 0,
    refits: Refits = 20,
    device: Device = "cpu",
    batch_size: BatchSize = 32,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score layers of two networks on distorted images, with the map of the others and a new one.

    The layer at each place of the first is scored against that at the same place of the second.
    """
    chosen, splits = named_metrics(parts_of(metrics)), Folds(folds, seed)
    sets = _folders(folder) if folder else _distorted(images_named(stimuli), distortion, seed)
    n = min(len(shown) for levels in sets.values() for shown in levels.values())
    check_positions(spatial, splits, n)
    place = make_place(out, as_json)
    show = partial(place.show, spatial=spatial, batch_size=batch_size, device=device)
    asked = _asked(first, second, layers, layers_second)
    if len(asked[0][1]) != len(asked[1][1]):
        raise InputError(
            f"{first} has {len(asked[0][1])} layers and {second} {len(asked[1][1])}: those at each "
            "place are compared, so choose as many of both with --layers and --layers-second."
        )
    rows = []
    for name, levels in sets.items():
        one, other = (
            {x: show(net, shown, names) for x, shown in levels.items()} for net, names in asked
        )
        found = shift_layers(
            one,
            other,
            chosen,
            folds=splits,
            bootstrap=_bootstrap(bootstrap, refits, seed),
            device=device,
            study=place.study,
        )
        table = found[["r", "drop"]].to_dataframe()[["r", "drop"]].reset_index()
        rows += table.assign(distortion=name).to_dict("records")
        if not as_json:
            print_table(f"{second}, predicted by {first}: {name}", _slopes(found))
        unit = DISTORTIONS[name].unit if name in DISTORTIONS else "kind of image"
        draw = partial(plot.shift, unit=unit or name)
        place.write({f"shift-{name}": (found, table, draw)})
    if as_json:
        print_rows(rows)


@app.command()
def trajectory(
    runs: Annotated[list[str], typer.Argument(help="Trainings: two or more times NETWORK=FOLDER.")],
    pattern: Annotated[
        str, typer.Option(help="Names of the state_dict files, {step} for the number.")
    ] = "epoch-{step}.pt",
    early: Annotated[float, typer.Option(help="Step at which the first epoch ends.")] = 1.0,
    stimuli: Shown = "drawings",
    layers: LayersFirst = None,
    spatial: Spatial = "mean",
    metrics: MetricNames = EVERY_METRIC,
    folds: NumberOfFolds = 5,
    seed: Seed = 0,
    bootstrap: Resampled = 0,
    refits: Refits = 20,
    device: Device = "cpu",
    batch_size: BatchSize = 32,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score checkpoints of trainings against each other, to see when alignment emerges.

    Accuracy stands beside it where the folders hold the log.csv that `convergent train` writes.
    """
    chosen, splits = named_metrics(parts_of(metrics)), Folds(folds, seed)
    named = _named_runs(runs)
    folders = {run: folder for run, (_, folder) in named.items()}
    files = {run: checkpoints(folder, pattern) for run, folder in folders.items()}
    steps = common_steps(files)
    if early not in steps:
        raise InputError(
            f"--early {early:g} is none of the steps {', '.join(f'{step:g}' for step in steps)}: "
            "give the one at which the first epoch ends."
        )
    if layers is None:
        _check_classes(folders)
    images = images_named(stimuli)
    check_positions(spatial, splits, len(images))
    place = make_place(out, as_json)
    show = partial(place.show, spatial=spatial, batch_size=batch_size, device=device)
    shown: dict[str, dict[float, dict[str, Assembly]]] = {run: {} for run in named}
    for run, (name, _) in named.items():
        for step in steps:
            net = get_network(name, checkpoint=files[run][step])
            names = parts_of(layers) if layers else net.default_layers
            check_layers(net, names)
            shown[run][step] = show(net, images, names)
    found = follow(
        shown,
        metrics=chosen,
        early=early,
        folds=splits,
        bootstrap=_bootstrap(bootstrap, refits, seed),
        accuracy=_logged(folders, steps),
        device=device,
        study=place.study,
    )
    table = found["r"].to_dataframe()[["r"]].reset_index()
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        print_table(f"share of the final alignment at step {early:g}", _shares(found))
    place.write({"trajectory": (found, table, plot.trajectory)})


def _bootstrap(samples: int, refits: int, seed: int) -> Bootstrap | None:
    return Bootstrap(samples, seed=seed, refits=refits) if samples else None


def _asked(
    first: str, second: str, layers: str | None, layers_second: str | None
) -> list[tuple[Network, Sequence[str]]]:
    """Both networks, with the layers that are asked for."""
    same = first.partition("=")[0] == second.partition("=")[0]
    asked: list[tuple[Network, Sequence[str]]] = []
    for given, names in ((first, layers), (second, layers_second or (layers if same else None))):
        name, _, checkpoint = given.partition("=")
        net = get_network(name, checkpoint=checkpoint or None)
        asked.append((net, parts_of(names) if names else net.default_layers))
    for net, chosen in asked:
        check_layers(net, chosen)
    return asked


def _distorted(images: Stimuli, names: str, seed: int) -> dict[str, dict[Any, Stimuli]]:
    """Images at all levels of some distortions."""
    chosen = list(DISTORTIONS) if names == "all" else parts_of(names)
    for name in chosen:
        if name not in DISTORTIONS:
            raise unknown("distortion", name, [*DISTORTIONS, "all"])
    return {
        name: {x: distort(images, name, x, seed=seed) for x in DISTORTIONS[name].levels}
        for name in chosen
    }


def _folders(given: Sequence[str]) -> dict[str, dict[Any, Stimuli]]:
    """Images of several kinds, each in a folder."""
    kinds = dict(one.partition("=")[::2] for one in given)
    if len(kinds) < len(given) or len(kinds) < 2 or not all(kinds.values()):
        raise InputError(
            f"--folder {' --folder '.join(given)}: give KIND=FOLDER two or more times, the control "
            "first, each kind once, as in --folder photo=photos --folder sketch=sketches."
        )
    return {"folders": {kind: Stimuli.from_folder(path) for kind, path in kinds.items()}}


def _named_runs(given: Sequence[str]) -> dict[str, tuple[str, Path]]:
    """Network and folder of each training, by the name of the folder."""
    runs = {}
    for one in given:
        name, _, folder = one.partition("=")
        if not folder:
            raise InputError(
                f"{one!r} is no training: give NETWORK=FOLDER, as in "
                "small-plain=trained/small-plain-0."
            )
        runs[Path(folder).name] = name, Path(folder)
    if len(runs) < max(2, len(given)):
        raise InputError(
            f"{examples(list(given))} are {len(runs)} training(s) by the names of their folders: "
            "give two or more, in folders with different names."
        )
    return runs


def _check_classes(folders: Mapping[str, Path]) -> None:
    """Outputs of trainings correspond only if both learned the same, as far as that is known."""
    known: dict[str, list[str]] = {}
    for run, folder in folders.items():
        try:
            known[run] = list(json.loads((folder / SETTINGS).read_bytes())["classes"])
        except (OSError, ValueError, KeyError, TypeError):  # a folder of somebody's own
            continue
    for first, run in pairwise(known):
        if known[first] != known[run]:
            apart = sorted(set(known[first]) ^ set(known[run]))
            raise InputError(
                f"{first} and {run} learned different classes ({examples(apart)} are not in both), "
                "so their outputs do not correspond: name the layers to compare, without the "
                "outputs, with --layers."
            )


def _logged(
    folders: Mapping[str, Path], steps: Sequence[float]
) -> dict[str, dict[float, float]] | None:
    """Accuracy at each step, of the trainings that wrote it down."""
    found = {}
    for run, folder in folders.items():
        try:
            log = pd.read_csv(folder / LOG)
            correct = dict(zip(log["epoch"], log["accuracy"], strict=True))
        except (OSError, ValueError, KeyError):  # a folder of somebody's own
            continue
        if set(steps) <= set(correct):
            found[run] = correct
    return found or None


def _correspondence(found: xr.Dataset) -> pd.DataFrame:
    """Counterpart of each layer, with how depth goes with depth."""
    rows = []
    for metric in found["metric"].values:
        part = found.sel(metric=metric)
        for target, partner in zip(
            part["target"].values, part["partner_of_target"].values, strict=True
        ):
            best_of = part.sel(target=target, source=partner)
            row = {"metric": metric, "layer": target, "counterpart": partner}
            row |= {name: float(best_of[name]) for name in ("r", "normalized")}
            if "sure_of_target" in part:
                row["sure"] = float(part["sure_of_target"].sel(target=target, source=partner))
            rows.append(row | {"depth correlation": float(part["depth_correlation"])})
    return pd.DataFrame(rows)


def _slopes(found: xr.Dataset) -> pd.DataFrame:
    """What the first and the last layer lose at each level, and how much more the last does."""
    rows = []
    for metric in found["metric"].values:
        for way in found["map"].values:
            for level in found["level"].values:
                part = found.sel(metric=metric, map=way, level=level)
                drop = part["drop"].values
                row = {"metric": metric, "map": way, "level": level}
                row |= {"drop of first layer": drop[0], "of last": drop[-1]}
                row["slope"] = float(part["slope"])
                if "slope_low" in part:
                    row |= {end: float(part[f"slope_{end}"]) for end in ("low", "high")}
                rows.append(row)
    return pd.DataFrame(rows)


def _shares(found: xr.Dataset) -> pd.DataFrame:
    """Which share of its growth alignment has early, over all layers."""
    shares = found["share_overall"].rename("share").to_dataframe()[["share"]]
    for end in ("low", "high"):
        if f"share_overall_{end}" in found:
            shares[end] = found[f"share_overall_{end}"].to_dataframe()[f"share_overall_{end}"]
    return shares.reset_index()
