"""The command line: ``convergent score``, ``compare``, ``datasets``, ``networks``, ``fetch``."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import xarray as xr

from . import catalog, plot
from .assembly import Assembly, open_assembly
from .ceiling import CEILINGS, check_ceiling
from .console import make_folder, note, print_rows, print_scores, print_table, write_all
from .crossval import score as score_assemblies
from .errors import InputError
from .experiments import hierarchy
from .extraction import SPATIAL, check_layers, extract
from .folds import Folds
from .forecast import forecast
from .metrics import METRICS, named_metrics
from .networks import NETWORKS, Network
from .networks import network as get_network
from .report import report
from .resampling import Bootstrap, Shuffle
from .stimuli import Stimuli
from .study import Study
from .tables import against, best, summary
from .targets import check_subjects

__all__ = ["app", "main"]

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
Spatial = Annotated[str, typer.Option(help=f"Positions of a layer: {', '.join(SPATIAL)}.")]


def main() -> None:
    """Run a command; bad input is told in a line, without a traceback."""
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    sys.path.insert(0, str(Path.cwd()))  # so that module:function may lie here
    try:
        app()
    except (InputError, OSError) as error:
        note(f"error: {error}")
        sys.exit(2)


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
    images, recording = _data(data, stimuli)
    if by is None and "region" in recording.data.coords:
        by = "region"
    targets = recording.by(by) if by else {recording.name or "recording": recording}
    # what can be wrong is told before the network is shown anything
    chosen_metrics = named_metrics(_parts(metrics))
    splits = Folds(folds, seed, group)
    if group is None:
        splits.split(len(recording.stimuli))
    chosen_ceiling = None if ceiling == "none" else ceiling
    check_ceiling(chosen_ceiling, targets)
    resampled = Bootstrap(bootstrap, tuple(_parts(over)), seed) if bootstrap else None
    check_subjects(resampled, targets)
    if controls and (untrained or checkpoint):
        raise InputError("--controls holds trained weights against untrained: leave one out.")
    folder = make_folder(out or (None if as_json else Path("results")))
    study = Study(folder / "study") if folder else None
    workers = _workers(scheduler)
    net = get_network(network, pretrained=not untrained, checkpoint=checkpoint)
    copies = [get_network(network, pretrained=False, seed=number) for number in range(controls)]
    loaded = time.perf_counter()
    names = _parts(layers) if layers else None

    def shown(to: Network) -> dict[str, Assembly]:
        show = study.extract if study else extract
        return show(to, images, names, spatial=spatial, batch_size=batch_size, device=device)

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


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="Network that is mapped.")],
    second: Annotated[str, typer.Argument(help="Network that is predicted.")],
    stimuli: Annotated[
        str,
        typer.Option(help="What is shown: NAME or NAME/SESSION of a data set, a folder or a zip."),
    ] = "virtual-cortex",
    layers: Annotated[
        str | None, typer.Option(help="Of the first, from first to last, with commas.")
    ] = None,
    layers_second: Annotated[
        str | None, typer.Option(help="Of the second; the same where both are one network.")
    ] = None,
    spatial: Spatial = "mean",
    metrics: MetricNames = EVERY_METRIC,
    folds: NumberOfFolds = 5,
    seed: Seed = 0,
    bootstrap: Annotated[
        int, typer.Option(help="Resamples, for intervals; as many times slower.")
    ] = 0,
    shuffle: Annotated[int, typer.Option(help="Shuffles of the stimuli; 0 for none.")] = 0,
    device: Device = "cpu",
    batch_size: BatchSize = 32,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score each layer of a network against each of another: which corresponds to which."""
    images = _images(stimuli)
    chosen, splits = named_metrics(_parts(metrics)), Folds(folds, seed)
    splits.split(len(images))
    folder = make_folder(out or (None if as_json else Path("results")))
    study = Study(folder / "study") if folder else None
    show = study.extract if study else extract
    asked = [
        (net, _parts(names) if names else net.default_layers)
        for net, names in (
            (get_network(first), layers),
            (get_network(second), layers_second or (layers if first == second else None)),
        )
    ]
    for net, names in asked:
        check_layers(net, names)
    one, other = (
        show(net, images, names, spatial=spatial, batch_size=batch_size, device=device)
        for net, names in asked
    )
    note(f"to score: {forecast(one, other, chosen, folds=splits)}")
    found = hierarchy(
        one,
        other,
        chosen,
        folds=splits,
        bootstrap=Bootstrap(bootstrap, seed=seed) if bootstrap else None,
        shuffle=Shuffle(shuffle, seed) if shuffle else None,
        device=device,
        study=study,
    )
    cell = ["metric", "source", "target"]
    table = found[["r", "ceiling", "normalized"]].to_dataframe().reset_index()
    table = table[[*cell, "r", "ceiling", "normalized"]]
    if as_json:
        print_rows(table.to_dict("records"))
    else:
        print_table(f"{second}, predicted by {first}", _correspondence(found))
    if folder:
        figure = plot.hierarchy(found)
        names = write_all(
            folder,
            {
                "hierarchy.nc": lambda file: found.to_netcdf(file, engine="h5netcdf"),
                "hierarchy.csv": lambda file: table.to_csv(file, index=False),
                "hierarchy.png": lambda file: figure.savefig(file, dpi=150),
                "hierarchy.svg": lambda file: figure.savefig(file),
            },
        )
        note(f"written to {folder}: {', '.join(names)}")


@app.command()
def datasets(as_json: AsJson = False) -> None:
    """List the data sets: what they hold, their licence, and whether they are here."""
    rows = [_card_row(card) for card in catalog.cards().values()]
    if as_json:
        print_rows(rows)
        return
    shown = [
        {
            "name": row["name"],
            "what": f"{row['title']}: {row['regions']} of {row['subjects']}; {row['sessions']} "
            f"session(s) of {row['stimuli']} stimuli, {row['units']} units, {row['repeats']} "
            "repeats",
            "MB": str(row["megabytes"] or ""),
            "licence": row["licence"],
            "here": row["here"],
        }
        for row in rows
    ]
    print_table(f"data sets in {catalog.data_root()}", pd.DataFrame(shown))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="NAME or NAME/SESSION.")],
) -> None:
    """Download a data set, or one session of it, and verify every file."""
    data_set, _, session = name.partition("/")
    files = catalog.fetch(data_set, session or None)
    if not files:
        print(f"{data_set} is simulated when it is loaded: there is nothing to fetch")
    for file in files:
        print(file)


@app.command()
def networks(
    name: Annotated[str | None, typer.Argument(help="List the layers of this network.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the networks, or the layers of one of them."""
    if name is None:
        ways = {
            "torchvision:NAME": "torchvision's models, where it is installed",
            "timm:NAME": "timm's models, where it is installed",
            "package.module:function": "a function of yours that returns a Network or a module",
        }
        rows: list[dict[str, Any]] = [
            {"name": known, "what": "ImageNet weights that a package ships"} for known in NETWORKS
        ]
        rows += [{"name": way, "what": what} for way, what in ways.items()]
    else:
        net = get_network(name)
        modules = dict(net.module.named_modules())
        rows = [
            {
                "layer": layer,
                "kind": type(modules[layer]).__name__,
                "default": layer in net.default_layers,
            }
            for layer in net.layers
        ]
    if as_json:
        print_rows(rows)
    else:
        print_table(f"layers of {name}" if name else "networks", pd.DataFrame(rows))


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


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _data(name: str, images: Path | None) -> tuple[Stimuli, Assembly]:
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


def _images(name: str) -> Stimuli:
    """Stimuli of a data set, or in a folder or zip."""
    path = Path(name)
    if path.is_dir():
        return Stimuli.from_folder(path)
    if path.suffix == ".zip":
        return Stimuli.from_zip(path)
    return _data(name, None)[0]


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


def _card_row(card: catalog.Card) -> dict[str, Any]:
    sessions: list[Any] = list(card.sessions.values()) or [card]
    here = sum(catalog.present(card, session) for session in card.sessions or [None])

    def span(what: str) -> str:
        numbers = [n for n in (getattr(session, what) for session in sessions) if n is not None]
        return f"{min(numbers)}-{max(numbers)}" if len(set(numbers)) > 1 else str(*numbers[:1])

    return {
        "name": card.name,
        "title": card.title,
        "simulated": card.simulated,
        "subjects": ", ".join(card.subjects),
        "regions": ", ".join(card.regions),
        "sessions": len(card.sessions) or 1,
        "stimuli": span("stimuli"),
        "units": span("units"),
        "repeats": span("repeats"),
        "megabytes": round(sum(file.size for file in card.files.values()) / 1e6, 1),
        "licence": card.licence,
        "here": f"{here} of {len(sessions)}" if card.files else "made when loaded",
    }


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
