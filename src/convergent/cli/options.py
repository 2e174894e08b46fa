"""Options that commands share: their names, defaults and help texts, and how values are read.

Names of metrics, distortions and so on are written out here, and compared with the real tables by a
test: to import the tables takes seconds, and a help text must appear at once.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import convergent as cv

from ..base.errors import InputError, unknown
from .completion import compared as complete_compared
from .completion import images as complete_images
from .completion import layers as complete_layers
from .completion import network as complete_network
from .completion import one_of, several_of
from .study_files import use_study

__all__ = [
    "BATCH_SIZE",
    "CEILINGS",
    "DEVICE",
    "DISTORTIONS",
    "DRAWINGS",
    "FOLDS",
    "HELD_OUT_SEED",
    "METRICS",
    "N_HELD_OUT",
    "N_IMAGES",
    "REFERENCES",
    "REFITS",
    "SEED",
    "SMALL",
    "SPATIAL",
    "STIMULI",
    "AsJson",
    "BatchSize",
    "Bootstrap",
    "By",
    "Compared",
    "Config",
    "Device",
    "First",
    "Folds",
    "Layers",
    "LayersSecond",
    "Metrics",
    "Out",
    "Overwrite",
    "Refits",
    "Second",
    "Seed",
    "Shuffle",
    "Spatial",
    "Stimuli",
    "StimuliOfData",
    "Where",
    "WhereSecond",
    "compared",
    "home",
    "make_protocol",
    "names_among",
    "output",
    "parts_of",
    "protocol",
    "settings_of",
    "uncertainty",
    "work",
]

# names of tables; those with commas are defaults too
CEILINGS = ("split-half", "repeat-variance", "inter-subject", "self", "attainable")
METRICS = "linear,procrustes,soft-matching"
REFERENCES = "cka,cka-debiased,rsa-pearson,rsa-spearman,rsa-cosine,mutual-knn"
SMALL = ("small-plain", "small-residual")
SPATIAL = ("flatten", "mean", "max", "center", "positions")
DISTORTIONS = (
    *("colour", "false-colour", "contrast", "high-pass", "low-pass", "phase-scrambling"),
    *("power-equalisation", "rotation", "uniform-noise", "eidolon-1", "eidolon-2", "eidolon-3"),
)

# defaults
BATCH_SIZE = 32
DEVICE = "cpu"
FOLDS = 5
REFITS = 20  # of layers with layers, which are many fits; `score` has those of Bootstrap, 200
SEED = 0
STIMULI = "virtual-cortex"
DRAWINGS, HELD_OUT_SEED = 600, 1  # how many, and the seed of drawings that no training uses
N_IMAGES, N_HELD_OUT = 8_000, 1_600  # drawings of a training

_ANY = "NAME or NAME/SESSION of a data set, a folder, a zip, or drawings"
_SIDE = (
    "Network (NAME or NAME=CHECKPOINT), data set (NAME or NAME/SESSION), or saved assembly (.nc, "
    ".zarr)."
)


def home(given: Any) -> Any:
    """Names and paths with the home folder for ``~``, which a shell leaves in ``--out=~/x``."""
    if isinstance(given, list | tuple):
        return [home(one) for one in given]
    if not isinstance(given, str | Path):
        return given
    name, sign, path = str(given).rpartition("=")  # as in NAME=CHECKPOINT
    if not path.startswith("~"):
        return given
    try:
        return type(given)(f"{name}{sign}{Path(path).expanduser()}")
    except RuntimeError as error:
        raise InputError(f"{path}: {error} Give the whole path.") from error


# groups of options in a help text
compared = partial(typer.Option, rich_help_panel="What is compared")
protocol = partial(typer.Option, rich_help_panel="Protocol")
uncertainty = partial(typer.Option, rich_help_panel="Uncertainty")
work = partial(typer.Option, rich_help_panel="Where work is done")
output = partial(typer.Option, rich_help_panel="Output")

# what is compared
First = Annotated[
    str,
    typer.Argument(
        callback=home,
        autocompletion=complete_network,
        help="Network that is mapped: NAME or NAME=CHECKPOINT.",
    ),
]
Second = Annotated[
    str,
    typer.Argument(
        callback=home,
        autocompletion=complete_network,
        help="Network that is predicted: NAME or NAME=CHECKPOINT.",
    ),
]
Compared = Annotated[
    str, typer.Argument(callback=home, autocompletion=complete_compared, help=_SIDE)
]
Stimuli = Annotated[
    str, compared(callback=home, autocompletion=complete_images, help=f"Images: {_ANY}.")
]
StimuliOfData = Annotated[
    str | None,
    compared(
        "--stimuli",
        callback=home,
        autocompletion=complete_images,
        help=f"Images: {_ANY}.",
        show_default="those of the data set, or virtual-cortex",
    ),
]
Layers = Annotated[
    str | None,
    compared(
        autocompletion=complete_layers,
        help="Layers from first to last: module names, separated by commas.",
        show_default="the network's own",
    ),
]
LayersSecond = Annotated[
    str | None,
    compared(
        help="Layers of the second network.",
        show_default="those of the first if both are the same network",
    ),
]
Where = Annotated[
    str | None,
    compared(help="Units to use if the first is a recording: LABEL=VALUE, separated by commas."),
]
WhereSecond = Annotated[str | None, compared(help="Units to use if the second is a recording.")]
By = Annotated[
    str | None,
    compared(
        help="Label of a recording's units whose values become separate populations.",
        show_default="region, if there is one",
    ),
]
Spatial = Annotated[
    str,
    compared(
        autocompletion=one_of(SPATIAL),
        help=f"Treatment of a layer's positions: {', '.join(SPATIAL)}, positions-N.",
    ),
]

# protocol
Metrics = Annotated[
    str,
    protocol(
        autocompletion=several_of(METRICS.split(",")),
        help="Metrics, separated by commas.",
        show_default=METRICS.replace(",", ", "),
    ),
]
Folds = Annotated[int, protocol(help="Number of cross-validation folds.")]
Seed = Annotated[
    int,
    protocol(
        min=0,
        max=2**32 - 1,
        metavar="INT",
        help="Seed of the random draws: folds, resamples, shuffles.",
    ),
]

# uncertainty
Bootstrap = Annotated[int, uncertainty(help="Number of resamples, for confidence intervals.")]
Refits = Annotated[
    int,
    uncertainty(
        help="Number of resamples in which maps are fitted again, which takes most of the time."
    ),
]
Shuffle = Annotated[
    int, uncertainty(help="Number of shuffles of the stimuli, for scores by chance.")
]

# where work is done
Device = Annotated[
    str, work(autocompletion=one_of(("cpu", "cuda")), help="Device: cpu, cuda, cuda:1.")
]
BatchSize = Annotated[int, work(help="Number of images in one pass of the network.")]

# output
Out = Annotated[
    Path | None,
    output(
        callback=home,
        help="Folder for results and finished work; a command that was interrupted continues.",
        show_default="results; with --json, none",
    ),
]
Overwrite = Annotated[
    bool,
    output("--overwrite", help="Replace results of another run that are in the folder."),
]
AsJson = Annotated[bool, output("--json", help="Print only JSON rows on stdout.")]


def _config(context: typer.Context, path: Path | None) -> Path | None:
    return use_study(context, home(path))


Config = Annotated[
    Path | None,
    output(
        "--config",
        is_eager=True,  # it is read before other options, which replace what it holds
        callback=_config,
        help="Study file (TOML) with options of this command, such as the study.toml beside "
        "results; options on the command line replace those in it.",
    ),
]


def parts_of(text: str) -> list[str]:
    """Words between commas.

    Raises
    ------
    InputError
        If there is none.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InputError(f"{text!r} holds no word: give one or more, separated by commas.")
    return parts


def names_among(text: str, kind: str, known: Collection[str]) -> list[str]:
    """Words between commas, each of which must be known."""
    names = parts_of(text)
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return names


def make_protocol(
    metrics: str,
    folds: cv.Folds,
    *,
    ceiling: str = "none",
    bootstrap: int = 0,
    refits: int = REFITS,
    over: str = "stimuli",
    shuffle: int = 0,
) -> cv.Protocol:
    """Protocol that options describe; resamples and shuffles have the seed of the folds."""
    # without resamples too, what is wrong in their settings is said
    resamples = cv.Bootstrap(bootstrap or 2, tuple(parts_of(over)), folds.seed, refits)
    return cv.Protocol(
        parts_of(metrics),
        folds=folds,
        ceiling=None if ceiling == "none" else ceiling,
        bootstrap=resamples if bootstrap else None,
        shuffle=cv.Shuffle(shuffle, folds.seed) if shuffle else None,
    )


def settings_of(protocol: cv.Protocol, *also: str, **compute: Any) -> dict[str, Any]:
    """Keywords of a question: metrics, folds and resamples, other settings, and the device."""
    settings = {name: getattr(protocol, name) for name in ("folds", "bootstrap", *also)}
    return {"metrics": dict(protocol.metrics), **settings, **compute}
