"""Single units: ``convergent features``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import plot
from ..base.errors import InputError
from ..data import catalog
from ..data.assembly import Assembly, images_of, open_assembly
from ..data.positions import keeps_positions
from ..data.stimuli import Stimuli
from ..features._overview import overview as ask_all
from ..features._overview_tables import Overview
from ..networks.extraction import check_layers
from ..networks.known import network as get_network
from ..networks.network import Network
from ..plot._figure import Picture
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle
from ..reports.features_page import features_page, layer_figures
from .console import note, print_rows, print_table, write_all
from .options import (
    AsJson,
    BatchSize,
    Device,
    NumberOfFolds,
    Out,
    Seed,
    Spatial,
    app,
    images_named,
    parts_of,
    recording_named,
)
from .places import Place, check_positions, make_place

__all__ = ["COLUMNS", "DEFAULT_STIMULI", "KINDS", "features"]

DEFAULT_STIMULI = "virtual-cortex"

KINDS = (
    "a network (NAME, or NAME=CHECKPOINT), a data set (NAME or NAME/SESSION), or a saved assembly"
)


@app.command()
def features(
    first: Annotated[str, typer.Argument(help=f"{KINDS}.")],
    second: Annotated[str, typer.Argument(help="The same, or another of these.")],
    stimuli: Annotated[
        str | None,
        typer.Option(
            help="What networks are shown: a data set, a folder, a zip, or drawings [default: "
            f"those of the data set, or {DEFAULT_STIMULI}]."
        ),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Of the first, where it is a network; with commas.")
    ] = None,
    layers_second: Annotated[
        str | None,
        typer.Option(help="Of the second; as of the first where both are one network."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Part of the first, where recorded: LABEL=VALUE, with commas."),
    ] = None,
    where_second: Annotated[str | None, typer.Option(help="Part of the second.")] = None,
    spatial: Spatial = "mean",
    clusters: Annotated[
        int | None, typer.Option(help="Number of clusters [default: by eigengap].")
    ] = None,
    folds: NumberOfFolds = 5,
    seed: Seed = 0,
    bootstrap: Annotated[int, typer.Option(help="Resamples of the stimuli, for intervals.")] = 200,
    shuffle: Annotated[int, typer.Option(help="Shuffles of the stimuli, for chance.")] = 20,
    rotations: Annotated[int, typer.Option(help="Rotations of the axes, for comparison.")] = 20,
    device: Device = "cpu",
    batch_size: BatchSize = 32,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Compare single units: who matches whom, from how few, in which groups; layer by layer.

    The layer at each place of the first is compared with that at the same place of the second; a
    recording with each layer.
    """
    splits, draws = Folds(folds, seed), Bootstrap(bootstrap, seed=seed)
    chance = Shuffle(shuffle, seed)
    sides = [_side(first, layers, where, "--where")]
    same = first.partition("=")[0] == second.partition("=")[0]
    given = layers_second or (layers if same else None)
    sides.append(_side(second, given, where_second, "--where-second"))
    images = _images(stimuli, sides)
    recorded = [side.recording for side in sides if side.recording is not None]
    if keeps_positions(spatial) and any(images_of(one) is None for one in recorded):
        raise InputError(
            f"--spatial {spatial} makes stimuli of positions, and a recording has whole images: "
            "use another, such as mean."
        )
    if images is not None:
        check_positions(spatial, splits, len(images))
    place = make_place(out, as_json)
    show = partial(place.show, spatial=spatial, batch_size=batch_size, device=device)
    shown = [side.populations(images, show) for side in sides]
    found = ask_all(
        *shown,
        folds=splits,
        shuffle=chance,
        bootstrap=draws,
        k=clusters,
        rotations=rotations,
        seed=seed,
        study=place.study,
    )
    if as_json:
        print_rows(found.layers.to_dataframe().reset_index().to_dict("records"))
    else:
        table = found.table("matches").rename(columns={"agreement": "agree"})
        print_table(f"units of {first} and {second}, on held-out stimuli", table[list(COLUMNS)])
        print_table("claims of arXiv 1511.07543, here", found.claims)
    _write(place, found, f"Units of {first} and {second}", images, shown)


COLUMNS = ("layer", "side", "n_units", "semi", "bipartite", "agree", "shared", "unique")


@dataclass(frozen=True)
class _Side:
    """A network and its layers, or a recording and its images."""

    name: str
    net: Network | None
    names: tuple[str, ...]
    recording: Assembly | None
    images: Stimuli | None

    def populations(
        self, images: Stimuli | None, show: Callable[..., Mapping[str, Assembly]]
    ) -> dict[str, Assembly]:
        """What is compared, by name."""
        if self.net is None:
            assert self.recording is not None
            name = self.recording.name or self.name
            return {name: Assembly(self.recording.data.rename(name))}
        shown = show(self.net, images, self.names)
        return {
            layer: Assembly(assembly.data.rename(f"{self.net.name} {layer}"))
            for layer, assembly in shown.items()
        }


def _side(name: str, layers: str | None, where: str | None, option: str) -> _Side:
    saved = name.rstrip("/").endswith((".nc", ".zarr"))
    if saved or name.partition("/")[0] in catalog.cards():
        images, recording = (None, open_assembly(name)) if saved else recording_named(name, None)
        if layers:
            raise InputError(f"{name} is a recording, and has no layers: leave out {layers!r}.")
        if where:
            recording = recording.where(**_labels(where, option))
        return _Side(Path(name).name, None, (), recording, images)
    if where:
        raise InputError(f"{name} is a network, and {option} {where} chooses from recordings.")
    kind, _, checkpoint = name.partition("=")
    net = get_network(kind, checkpoint=checkpoint or None)
    chosen = tuple(parts_of(layers) if layers else net.default_layers)
    check_layers(net, chosen)
    return _Side(name, net, chosen, None, None)


def _labels(where: str, option: str) -> dict[str, Any]:
    """LABEL=VALUE, with commas; values of one label are alternatives."""
    found: dict[str, list[str]] = {}
    for part in parts_of(where):
        label, sign, value = part.partition("=")
        if not (label and sign and value):
            raise InputError(f"{option} {where!r}: give LABEL=VALUE, as in region=V4,subject=a.")
        found.setdefault(label, []).append(value)
    return found


def _images(named: str | None, sides: list[_Side]) -> Stimuli | None:
    """What networks are shown; None where there is no network and no images are named."""
    if named is not None:
        return images_named(named)
    of_data = next((side.images for side in sides if side.images is not None), None)
    if of_data is not None or all(side.net is None for side in sides):
        return of_data
    if any(side.recording is not None for side in sides):
        raise InputError(
            "the images that go with the saved assembly are missing: add --stimuli FOLDER or ZIP."
        )
    return images_named(DEFAULT_STIMULI)


def _write(
    place: Place,
    found: Overview,
    title: str,
    images: Stimuli | None,
    shown: list[dict[str, Assembly]],
) -> None:
    """Tables, figures and the page, each whole or not at all."""
    if place.folder is None:
        return
    drawn = {layer: layer_figures(found, layer) for layer in found.steps}
    writers: dict[str, Callable[[Path], object]] = {
        "claims.csv": partial(found.claims.to_csv, index=False),
        "layers.csv": found.layers.to_dataframe().to_csv,
        "overview.html": partial(features_page, found, title=title, figures=drawn),
        **_picture("overview", plot.overview(found)),
    }
    for kind in ("units", "matches", "sparse", "clusters"):
        writers[f"{kind}.csv"] = partial(found.table(kind).to_csv, index=False)
    for number, layer in enumerate(found.steps):
        base = f"{number:02d}-{layer.replace('/', '-')}"
        for step, result in found.steps[layer].items():
            writers[f"{base}-{step}.nc"] = partial(result.to_netcdf, engine="h5netcdf")
        for name, figure in drawn[layer].items():
            writers |= _picture(f"{base}-{name}", figure)
        one, other = (list(side.values())[number if len(side) > 1 else 0] for side in shown)
        if images is not None:
            matches, k = found.steps[layer]["matches"], min(5, len(images))
            likes = plot.best_stimuli(matches, one, other, images, k=k)
            writers |= _picture(f"{base}-best-stimuli", likes)
    names = write_all(place.folder, writers)
    note(f"written to {place.folder}: {', '.join(names[:4])} and {len(names) - 4} more")


def _picture(name: str, figure: Picture) -> dict[str, Callable[[Path], object]]:
    return {f"{name}.png": partial(figure.savefig, dpi=120)}
