"""Completion of names on the command line: fast, as a user waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import typer

import convergent as cv

__all__ = [
    "NETWORKS",
    "compared",
    "data",
    "data_set",
    "images",
    "layers",
    "network",
    "one_of",
    "several_of",
]

# names that `convergent networks` lists, and layers of them that are often compared
_OF_SMALL = tuple(f"blocks.{i}{part}" for i in range(4) for part in (".first", ""))
NETWORKS: Mapping[str, tuple[str, ...]] = {
    **{
        f"efficientnet-lite{size}": ("_conv_stem", *(f"_blocks.{i}" for i in range(count)))
        for size, count in enumerate((16, 21, 21))
    },
    **dict.fromkeys(("small-plain", "small-residual"), ("stem", *_OF_SMALL, "classifier")),
}
_SAVED = (".nc", ".zarr")

_Complete = Callable[[str], list[str]]


def one_of(names: Iterable[str]) -> _Complete:
    """Completion of one of some names."""
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    return complete


def several_of(names: Iterable[str]) -> _Complete:
    """Completion of the last of several names, separated by commas."""
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        return _last_of_several(incomplete, known)

    return complete


def network(incomplete: str) -> list[str]:
    """Completion of a network: its name, or the checkpoint after NAME=."""
    name, sign, path = incomplete.partition("=")
    if sign:
        return [f"{name}={file}" for file in _files(path)]
    further = ("torchvision:", "timm:")
    return [name for name in (*NETWORKS, *further) if name.startswith(incomplete)]


def data(incomplete: str) -> list[str]:
    """Completion of a data set or session, or of a saved assembly."""
    return [*data_set(incomplete), *_files(incomplete, *_SAVED)]


def images(incomplete: str) -> list[str]:
    """Completion of images: a data set, drawings, a folder or a zip."""
    named = [*data_set(incomplete), "drawings"]
    return [*(n for n in named if n.startswith(incomplete)), *_files(incomplete, ".zip")]


def compared(incomplete: str) -> list[str]:
    """Completion of one side of a comparison: a network, a data set, or a saved assembly."""
    return [*network(incomplete), *(data(incomplete) if "=" not in incomplete else ())]


def layers(context: typer.Context, incomplete: str) -> list[str]:
    """Completion of the layers of a network that comes with this package."""
    named = context.params.get("network") or context.params.get("first") or "efficientnet-lite0"
    return _last_of_several(incomplete, NETWORKS.get(str(named).partition("=")[0], ()))


def _last_of_several(incomplete: str, known: Iterable[str]) -> list[str]:
    """What is typed before the last comma, with each name that may follow."""
    before, comma, last = incomplete.rpartition(",")
    named = {part.strip() for part in before.split(",")}
    return [f"{before}{comma}{x}" for x in known if x.startswith(last) and x not in named]


def data_set(incomplete: str) -> list[str]:
    """Completion of a data set, and of its sessions once the name is typed."""
    name, slash, _ = incomplete.partition("/")
    known = cv.cards()
    if slash and name in known:
        return [f"{name}/{session}" for session in known[name].sessions]
    return [name for name in known if name.startswith(incomplete)]


def _files(start: str, *endings: str) -> list[str]:
    """Folders, and files with one of some endings (all, without), whose paths start so."""
    folder = start.rpartition("/")[0] + "/" if "/" in start else ""
    found = []
    with suppress(OSError, RuntimeError, ValueError):
        for path in sorted(Path(folder or ".").expanduser().iterdir()):
            name, hidden = f"{folder}{path.name}", path.name.startswith(".")
            if hidden or not name.startswith(start):
                continue
            if path.is_dir() and path.suffix not in endings:
                found.append(f"{name}/")
            elif not endings or path.suffix in endings:
                found.append(name)
    return found
