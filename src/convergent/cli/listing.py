"""What there is: ``convergent datasets``, ``fetch``, ``networks``."""

from __future__ import annotations

from typing import Annotated, Any

import pandas as pd
import typer

from ..data import catalog
from ..data.cards import Card
from ..networks.known import NETWORKS
from ..networks.known import network as get_network
from ..networks.small import SMALL
from .console import print_rows, print_table
from .options import AsJson, app

__all__ = ["datasets", "fetch", "networks"]


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
            {
                "name": known,
                "what": "small: trained by `convergent train`"
                if known in SMALL
                else "ImageNet weights that a package ships",
            }
            for known in NETWORKS
        ]
        rows += [{"name": way, "what": what} for way, what in ways.items()]
    else:
        net = get_network(name, pretrained=name not in SMALL)
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


def _card_row(card: Card) -> dict[str, Any]:
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
