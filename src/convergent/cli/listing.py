"""What there is: ``convergent datasets``, ``fetch`` and ``networks``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import convergent as cv

from .completion import data_set, network
from .console import print_line, print_rows, print_table
from .inputs import network_named
from .options import SMALL, AsJson
from .steps import doing, keeps
from .tables import Row

__all__ = ["datasets", "fetch", "networks"]


def datasets(as_json: AsJson = False) -> None:
    """List the data sets: what they hold, their licence, and whether they are on this machine."""
    rows = [_card_row(card) for card in cv.cards().values()]
    if as_json:
        print_rows(rows)
        return
    brief = [
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
    print_table(f"data sets in {cv.data_root()}", brief)


def fetch(
    name: Annotated[
        str,
        typer.Argument(autocompletion=data_set, help="NAME or NAME/SESSION of a data set."),
    ],
) -> None:
    """Download a data set, or one session of it, and verify every file."""
    data_set, _, session = name.partition("/")
    keeps("complete files", cv.data_root() / data_set)
    with doing(f"fetching and verifying {name}"):
        files = cv.fetch(data_set, session or None)
    if not files:
        print_line(f"{data_set} is simulated when it is loaded: there is nothing to fetch")
    for file in files:
        print_line(str(file))


def networks(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=network, help="Network whose layers are listed.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the networks, or the layers of one of them."""
    rows = _network_rows() if name is None else _layer_rows(name)
    if as_json:
        print_rows(rows)
    else:
        print_table(f"layers of {name}" if name else "networks", rows)


def _network_rows() -> list[Row]:
    """Networks by name, and the forms of names of further ones."""
    what = {
        name: "small: trained by `convergent train`"
        if name in SMALL
        else "ImageNet weights that a package ships"
        for name in cv.NETWORKS
    }
    what |= {
        "torchvision:NAME": "models of torchvision, if it is installed",
        "timm:NAME": "models of timm, if it is installed",
        "package.module:function": "a function of yours that returns a Network or a torch module",
    }
    return [{"name": name, "what": text} for name, text in what.items()]


def _layer_rows(name: str) -> list[Row]:
    """Layers of a network, their types, and whether they are scored by default."""
    net = network_named(name, pretrained=name not in SMALL)
    modules = dict(net.module.named_modules())
    return [
        {
            "layer": layer,
            "kind": type(modules[layer]).__name__,
            "default": layer in net.default_layers,
        }
        for layer in net.layers
    ]


def _card_row(card: cv.Card) -> dict[str, Any]:
    """A data set in a row; numbers that differ between sessions are ranges."""
    sessions: list[Any] = list(card.sessions.values()) or [card]
    here = sum(cv.present(card, session) for session in card.sessions or [None])

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
