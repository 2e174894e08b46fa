"""Networks with brains: ``convergent score``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import xarray as xr

from .. import plot
from ..base.errors import InputError
from ..base.study import Study
from ..data.assembly import Assembly, images_of
from ..data.positions import keeps_positions
from ..metrics.table import named_metrics
from ..networks.extraction import extract
from ..networks.known import network as get_network
from ..networks.network import Network
from ..networks.pooling import treatment
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle
from ..protocol.settings import Protocol
from ..reports.score_page import report
from ..scoring.forecast import forecast
from ..scoring.score import score as score_assemblies
from ..scoring.tables import against, best, summary
from ..statistics.ceilings import CEILINGS
from .console import make_folder, note, print_rows, print_scores, write_all
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
    parts_of,
    recording_named,
)

__all__ = ["score"]


@app.command()
def score(
    network: Annotated[
        str, typer.Option(help="Name; see `convergent networks`.")
    ] = "efficientnet-lite0",
    data: Annotated[
        str,
        typer.Option(
            help="NAME or NAME/SESSION of `convergent datasets`; or a saved assembly (.nc, .zarr)."
        ),
    ] = "virtual-cortex",
    stimuli: Annotated[
        Path | None, typer.Option(help="Images of a saved assembly: a folder or a zip.")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Module names, with commas; the network's defaults else.")
    ] = None,
    spatial: Spatial = "mean",
    metrics: MetricNames = EVERY_METRIC,
    ceiling: Annotated[str, typer.Option(help=f"{', '.join(CEILINGS)}, or none.")] = "split-half",
    by: Annotated[
        str | None, typer.Option(help="Label whose values are scored apart [default: region].")
    ] = None,
    folds: NumberOfFolds = 5,
    group: Annotated[
        str | None, typer.Option(help="Label of stimuli that stay in one fold.")
    ] = None,
    seed: Seed = 0,
    bootstrap: Annotated[
        int, typer.Option(help="Resamples, for confidence intervals; 0 for none.")
    ] = 0,
    over: Annotated[
        str, typer.Option(help="What is resampled: stimuli, units, subjects, with commas.")
    ] = "stimuli",
    shuffle: Annotated[
        int, typer.Option(help="Shuffles of the stimuli, for p against chance; 0 for none.")
    ] = 0,
    controls: Annotated[
        int,
        typer.Option(help="Untrained copies of the network, for p against these; 0 for none."),
    ] = 0,
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights.")] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A state_dict in place of the weights.")
    ] = None,
    device: Device = "cpu",
    batch_size: BatchSize = 32,
    out: Out = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a dask scheduler, tcp://...: its workers score."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score how well each layer of a network predicts a recording, beside its noise ceiling."""
    began = time.perf_counter()
    images, recording = recording_named(data, stimuli)
    if by is None and "region" in recording.data.coords:
        by = "region"
    targets = recording.by(by) if by else {recording.name or "recording": recording}
    # what can be wrong is told before the network is shown anything
    chosen_metrics = named_metrics(parts_of(metrics))
    splits = Folds(folds, seed, group)
    if group is None and images_of(recording) is None:
        splits.split(len(recording.stimuli))
    treatment(spatial)
    if keeps_positions(spatial) and images_of(recording) is None:
        raise InputError(
            f"--spatial {spatial} makes stimuli of positions, and those of {data} are whole "
            "images: use another (compare takes positions of two networks)."
        )
    chosen_ceiling = None if ceiling == "none" else ceiling
    resampled = Bootstrap(bootstrap, tuple(parts_of(over)), seed) if bootstrap else None
    Protocol(chosen_metrics, splits, chosen_ceiling, bootstrap=resampled).check(targets)
    if controls and (untrained or checkpoint):
        raise InputError("--controls holds trained weights against untrained: leave one out.")
    folder = make_folder(out or (None if as_json else Path("results")))
    study = Study(folder / "study") if folder else None
    workers = _workers(scheduler)
    net = get_network(network, pretrained=not untrained, checkpoint=checkpoint)
    copies = [get_network(network, pretrained=False, seed=number) for number in range(controls)]
    loaded = time.perf_counter()
    names = parts_of(layers) if layers else None

    def shown(to: Network) -> dict[str, Assembly]:
        return extract(
            to, images, names, spatial=spatial, batch_size=batch_size, device=device, study=study
        )

    activations = shown(net)
    extracted = time.perf_counter()
    note(f"to score: {forecast(activations, targets, chosen_metrics, folds=splits)}")
    score_them = partial(
        score_assemblies,
        target=targets,
        metrics=chosen_metrics,
        folds=splits,
        ceiling=chosen_ceiling,
        device=device,
        study=study,
    )
    with workers:
        results = score_them(
            activations, bootstrap=resampled, shuffle=Shuffle(shuffle, seed) if shuffle else None
        )
        untrained_scores = [score_them(shown(copy), units=False) for copy in copies]
    scored = time.perf_counter()
    note(
        f"data {loaded - began:.1f} s, {net.name} {extracted - loaded:.1f} s, "
        f"scores {scored - extracted:.1f} s"
    )
    table = _table(results, untrained_scores)
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        simulated = " (simulated)" if results.attrs["simulated"] else ""
        print_scores(table, f"{net.name} and {data}{simulated}")
    if folder:
        note(f"written to {folder}: {', '.join(_write(results, table, folder))}")


def _table(results: xr.Dataset, controls: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Summary, with what was asked for besides: the set of the best, p against controls."""
    table, cell = summary(results), ["metric", "source", "target"]
    if "n_drawn" in results:
        table = table.merge(best(results)[[*cell, "among_best"]], on=cell)
    if controls:
        held = against(results, controls).rename(columns={"p": "p_untrained"})
        table = table.merge(held[[*cell, "control_mean", "p_untrained"]], on=cell)
    return table


def _workers(address: str | None) -> AbstractContextManager[Any]:
    """The workers of a scheduler, until the end of a with; none where no address is given."""
    if address is None:
        return nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--scheduler needs dask.distributed: pip install 'convergent[cluster]'."
        ) from None
    try:
        # as a default it would stay, half made, where it finds no scheduler
        client = Client(address, timeout=10, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(
            f"no scheduler answers at {address} ({error}): start one with `dask scheduler`, and "
            f"workers with `dask worker {address}`."
        ) from error
    stack = ExitStack()
    stack.enter_context(client)
    stack.enter_context(client.as_current())
    return stack


def _write(results: xr.Dataset, table: pd.DataFrame, folder: Path) -> list[str]:
    """Write scores, table and pictures, each whole or not at all; return their names."""
    figure = plot.scores(results)
    names = write_all(
        folder,
        {
            "scores.nc": lambda file: results.to_netcdf(file, engine="h5netcdf"),
            "summary.csv": lambda file: table.to_csv(file, index=False),
            "scores.png": lambda file: figure.savefig(file, dpi=150),
            "scores.svg": lambda file: figure.savefig(file),
        },
    )
    report(results, folder / "report.html")
    return [*names, "report.html"]
