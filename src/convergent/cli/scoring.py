"""Networks with brains: ``convergent score``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

import convergent as cv

from ..base.display import write_csv
from ..base.errors import InputError
from ..base.netcdf import write_netcdf
from .completion import data as complete_data
from .completion import network as complete_network
from .completion import one_of, several_of
from .console import note, print_rows, print_scores
from .inputs import (
    check_files,
    check_images,
    extractor,
    images_for,
    network_named,
    recording_named,
)
from .options import (
    BATCH_SIZE,
    CEILINGS,
    DEVICE,
    FOLDS,
    METRICS,
    SEED,
    AsJson,
    BatchSize,
    Bootstrap,
    By,
    Config,
    Device,
    Folds,
    Layers,
    Metrics,
    Out,
    Overwrite,
    Refits,
    Seed,
    Shuffle,
    Spatial,
    StimuliOfData,
    compared,
    home,
    make_protocol,
    parts_of,
    settings_of,
    uncertainty,
    work,
)
from .options import protocol as of_protocol
from .places import Files, picture_files, result_folder
from .runs import Run
from .steps import doing

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["score"]


def score(
    context: typer.Context,
    network: Annotated[
        str,
        compared(
            callback=home,
            autocompletion=complete_network,
            help="NAME or NAME=CHECKPOINT; see convergent networks.",
        ),
    ] = "efficientnet-lite0",
    data: Annotated[
        str,
        compared(
            callback=home,
            autocompletion=complete_data,
            help="NAME or NAME/SESSION of a data set (see convergent datasets), or a saved "
            "assembly (.nc, .zarr).",
        ),
    ] = "virtual-cortex",
    stimuli: StimuliOfData = None,
    layers: Layers = None,
    spatial: Spatial = "mean",
    by: By = None,
    untrained: Annotated[
        bool, compared("--untrained", help="Give the network random weights.")
    ] = False,
    metrics: Metrics = METRICS,
    ceiling: Annotated[
        str,
        of_protocol(
            autocompletion=one_of([*CEILINGS, "none"]),
            help=f"Noise ceiling: {', '.join(CEILINGS)}, or none.",
        ),
    ] = "split-half",
    folds: Folds = FOLDS,
    group: Annotated[
        str | None, of_protocol(help="Label of stimuli whose groups stay in one fold.")
    ] = None,
    seed: Seed = SEED,
    bootstrap: Bootstrap = 0,
    over: Annotated[
        str,
        uncertainty(
            autocompletion=several_of(("stimuli", "units", "subjects")),
            help="What is resampled: stimuli, units or subjects, separated by commas.",
        ),
    ] = "stimuli",
    refits: Refits = 200,
    shuffle: Shuffle = 0,
    controls: Annotated[
        int,
        uncertainty(
            min=0, metavar="INT", help="Number of untrained copies of the network, for p-values."
        ),
    ] = 0,
    device: Device = DEVICE,
    batch_size: BatchSize = BATCH_SIZE,
    scheduler: Annotated[
        str | None, work(help="Address of a dask scheduler whose workers score: tcp://...")
    ] = None,
    out: Out = None,
    config: Config = None,  # noqa: ARG001 (its callback reads it)
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Score how well each layer of a network predicts a recording, beside its noise ceiling."""
    protocol = make_protocol(
        metrics,
        cv.Folds(folds, seed, group),
        ceiling=ceiling,
        bootstrap=bootstrap,
        refits=refits,
        over=over,
        shuffle=shuffle,
    )
    check_files(network, stimuli)
    recorded = recording_named(data)
    images = images_for(stimuli, [recorded])
    targets = recorded.parts(by)
    protocol.check(targets)
    check_images(spatial, protocol.folds, images, [recorded])
    workers = _workers(scheduler)
    net, *copies = _networks(network, untrained, controls)
    names = parts_of(layers) if layers else net.default_layers
    folder = result_folder(out, as_json, Run.of(context, overwrite), "scores.nc")
    extract = extractor(spatial, batch_size, device, folder.study)
    activations = extract(net, images, names)
    settings = settings_of(protocol, "ceiling", "shuffle", device=device, study=folder.study)
    with doing("forecast of the time"):
        cost = cv.forecast(activations, targets, controls=controls, **settings)
    note(f"to score: {cost}")
    with workers:
        with doing("scores", always=True):
            results = cv.score(activations, targets, **settings)
        alone = settings | {"units": False, "bootstrap": None, "shuffle": None}
        of_controls = []
        for number, copy in enumerate(copies, 1):
            with doing(f"control {number} of {controls}", always=True):
                of_controls.append(cv.score(extract(copy, images, names), targets, **alone))
    with doing("summary"):
        table = _table(results, of_controls)
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        simulated = " (simulated)" if results.attrs["simulated"] else ""
        print_scores(f"{net.name} and {data}{simulated}", table, protocol.ceiling)
    folder.write(lambda: _files(results.assign_attrs(folder.run.attrs), table, of_controls))
    folder.write_study(results)


def _networks(name: str, untrained: bool, controls: int) -> list[cv.Network]:
    """The network that is scored, and its untrained copies."""
    if controls and (untrained or "=" in name):
        raise InputError(
            "--controls compares the trained network with untrained copies of it: leave out "
            "--controls, or --untrained and the checkpoint."
        )
    family = name.partition(":")[0]
    if controls and ":" in name and family not in ("torchvision", "timm"):
        raise InputError(
            f"--controls makes untrained copies of networks by name, and {name} is a function of "
            "yours, which decides on its weights itself: make untrained networks in Python, and "
            "compare their scores with convergent.against."
        )
    net = network_named(name, pretrained=not untrained)
    return [net, *(cv.network(name, pretrained=False, seed=copy) for copy in range(controls))]


def _table(results: xr.Dataset, of_controls: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Summary, with the set of the best and p against controls, where these were asked for."""
    table, cell = cv.summary(results), ["metric", "source", "target"]
    if "n_drawn" in results:
        table = table.merge(cv.best(results)[[*cell, "among_best"]], on=cell)
    if of_controls:
        compared = cv.against(results, of_controls).rename(columns={"p": "p_untrained"})
        table = table.merge(compared[[*cell, "control_mean", "p_untrained"]], on=cell)
    return table


def _workers(address: str | None) -> AbstractContextManager[Any]:
    """Workers of a dask scheduler for the length of a with; none without an address."""
    if address is None:
        return nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--scheduler needs dask.distributed: pip install 'convergent[cluster]'."
        ) from None
    try:
        # a default client would stay, half made, if no scheduler answers
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


def _files(results: xr.Dataset, table: pd.DataFrame, controls: Sequence[xr.Dataset]) -> Files:
    """Scores, table, pictures and page."""
    return {
        "scores.nc": partial(write_netcdf, results),
        "summary.csv": partial(write_csv, table),
        **picture_files("scores", cv.plot.scores(results)),
        "report.html": partial(cv.report, results, controls=controls),
    }
