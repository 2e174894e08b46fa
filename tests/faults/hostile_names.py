"""Names that are markup, formulas, control characters or far too long, from end to end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import torch
import works
from apart import Ended, apart, folder
from outcomes import Outcome, files_of

import convergent as cv

_SECONDS = 60.0
NAMES = {
    "closing markup": "[/b]",
    "markup": "[x]bold[/x]",
    "link markup": "[link=javascript:alert(1)]here[/link]",
    "mathtext": r"$\frac{$",
    "one dollar": "cost $5_{",
    "tag": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)',
    "image tag": "<img src=x onerror=alert(1)>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "entity": "&lt;b&gt;",
    "formula": '=HYPERLINK("http://example.org","here")',
    "formula, minus": "-2+3",
    "formula, at": "@SUM(A1)",
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "240 letters": "n" * 240,
    "600 letters": "long name " * 60,
    "right to left": "\u202egnp.exe\u2066",
    "newline": "two\nlines",
    "carriage return": "over\rwritten",
    "tab": "a\tb",
    "parent folder": "../../outside",
    "absolute": "/tmp/outside",
    "device": "NUL",
    "quotes": 'it\'s "quoted", with comma; and \\',
    "accents": "café 脳",
    "spaces": "  around  ",
    "emoji": "\U0001f9e0:smile:",
}
# strings that netCDF does not hold: refused when they are saved, or before
REFUSED = {"null character": "a\0b", "half a pair": "a\ud800b", "empty": ""}


SCRIPT = (Path(cv.__file__).parent / "reports" / "templates" / "page.js").read_text("utf-8")


class _Active(HTMLParser):
    """Finds what a page would run, apart from the script of all pages."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.found[-1:] == ["script"] and data == SCRIPT:
            self.found.pop()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "iframe", "object", "embed", "base", "form"}:
            self.found.append(tag)
        for name, value in attrs:
            value = (value or "").strip().lower()
            if name.startswith("on") or value.startswith(("javascript:", "data:text")):
                self.found.append(f"{tag} {name}={value[:40]}")


def active(page: Path) -> list[str]:
    """Tags and attributes of a page that run code."""
    parser = _Active()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


# Each name in each place, end to end: these return what is wrong, '' if nothing


def _labels(name: str) -> dict[str, object]:
    regions = [name, "V4", name, "V4", name]
    return {"region": ("unit", regions)}


def _recording(place_of_name: str, name: str) -> cv.Assembly:
    data = works.recording()
    stimuli, units = list(data.stimuli), list(data.units)
    if place_of_name == "unit":
        units[0] = name
    if place_of_name == "stimulus":
        stimuli[0] = name
    labels = _labels(name) if place_of_name == "region" else {}
    return cv.Assembly.from_array(
        data.data.values,
        dims=("stimulus", "unit", "repeat"),
        stimuli=stimuli,
        units=units,
        name=name if place_of_name == "name" else "recorded",
        **labels,
    )


def _saved(of: str, name: str, inside: Path) -> str:
    """An assembly as .nc and .zarr."""
    data = _recording(of, name)
    for suffix in (".nc", ".zarr"):
        found = cv.open(data.save(inside / f"saved{suffix}"))
        if not found.data.identical(data.data):
            return f"{suffix} holds other names"
    return ""


def _scored(of: str, name: str, inside: Path) -> str:
    """Scores, their tables, picture and page."""
    data = _recording(of, name)
    source = _recording(of, name).average() if of == "stimulus" else works.recording(4, 2).average()
    sources = {name if of == "source" else "layer": source}
    targets = data.by("region") if of == "region" else {name if of == "target" else "cells": data}
    scores = cv.score(sources, targets, ["linear"], folds=cv.Folds(3), progress=False)
    scores.to_netcdf(inside / "scores.nc", engine="h5netcdf")
    table = cv.summary(scores)
    table.to_csv(inside / "summary.csv", index=False)
    cv.plot.scores(scores).savefig(inside / "scores.svg")
    cv.report(scores, inside / "report.html", title=name if of == "title" else None)
    if cv.summary(cv.open(inside / "scores.nc"))[["source", "target"]].to_numpy().tolist() != (
        table[["source", "target"]].to_numpy().tolist()
    ):
        return "scores.nc holds other names"
    expected = {"source": name, "target": name, "region": name}.get(of)
    shown = table["source" if of == "source" else "target"]
    if expected is not None and expected not in set(shown):
        return f"summary has {sorted(set(shown))}"
    json.dumps(table.to_dict("records"))
    return _runs(inside)


def _command(name: str, inside: Path) -> str:
    """``convergent score`` with a layer of this name: rows, files, and what the terminal gets."""
    os.environ["FAULTS_NAME"] = name
    works.recording().save(inside / "recording.nc")
    (inside / "images").mkdir()
    shown = works.images()
    for stimulus in shown.names:
        shown[stimulus].save(inside / "images" / stimulus)
    words = [
        "score",
        "--network=hostile_names:network",
        f"--data={inside / 'recording.nc'}",
        f"--stimuli={inside / 'images'}",
        "--metrics=linear",
        "--folds=3",
        f"--out={inside / 'out'}",
    ]
    works.run_command(*words)
    read = pd.read_csv(inside / "out" / "summary.csv", keep_default_na=False)
    found = set(read["source"])
    plain = {name, f"'{name}"} if name[0] in "=+-@\t\r" else {name}
    if not found & plain:
        return f"summary.csv has {sorted(found)}"
    if name in found and name[0] in "=+@":
        return "summary.csv has a formula"
    scores = cv.open(inside / "out" / "scores.nc")
    if name not in set(scores["source"].values.tolist()):
        return "scores.nc has another name"
    return _runs(inside / "out")


def network() -> cv.Network:
    """A network with a layer of the name that is tried; of the command."""
    module = torch.nn.Sequential()
    name = os.environ["FAULTS_NAME"]
    torch.manual_seed(0)
    module.add_module(name, torch.nn.Conv2d(3, 4, 3))
    return cv.Network("tiny", module, works.pixels)


def _extracted(name: str, inside: Path) -> str:
    """A layer of this name, in a store."""
    os.environ["FAULTS_NAME"] = name
    net = network()
    here = cv.extract(net, works.images(), [name], progress=False)[name]
    for _ in range(2):
        kept = cv.extract(net, works.images(), [name], store=inside / "store", progress=False)[name]
        if not kept.data.compute().identical(here.data):
            return "the store holds another layer"
    return "" if name in cv.open_layers(inside / "store") else "the store has another name"


def _runs(folder_of_pages: Path) -> str:
    for page in folder_of_pages.glob("*.html"):
        if found := active(page):
            return f"{page.name} runs {found}"
    return ""


PLACES: dict[str, Callable[[str, Path], str]] = {
    **{f"{of}, saved": partial(_saved, of) for of in ("unit", "stimulus", "region", "name")},
    **{
        f"{of}, scored": partial(_scored, of)
        for of in ("source", "target", "region", "unit", "stimulus", "title")
    },
    "layer, extracted": _extracted,
    "layer, command": _command,
}
_NO_DOTS = {"layer, extracted", "layer, command"}  # torch allows no dot in the name of a module


def outcomes(each: int, seed: int, only: tuple[str, ...] = tuple(PLACES)) -> Iterator[Outcome]:
    """Each name in each place.

    Parameters
    ----------
    each : int
        Number of names for each place.
    seed : int
        Where among the names to start.
    only : tuple of str
        Places.
    """
    names = list((NAMES | REFUSED).items())
    for number, place_of_name in enumerate(only):
        start = seed + number * each
        for k in range(min(each, len(names))):
            case, name = names[(start + k) % len(names)]
            if place_of_name in _NO_DOTS:
                name = name.replace(".", "_")
                if name == "":
                    continue
            with folder() as place:
                inside = place / "deep" / "work"
                inside.mkdir(parents=True)
                ended = apart(PLACES[place_of_name], name, inside, seconds=_SECONDS)
                found, detail = _judged(ended, case, place)
            yield Outcome(f"name: {place_of_name}", case, found, detail)


def _judged(ended: Ended, case: str, place: Path) -> tuple[str, str]:
    outside = {p for p in files_of(place) if not p.startswith("deep/work")} - {"deep"}
    if outside or Path("/tmp/outside").exists():
        return "silently wrong", f"files outside the folder: {sorted(outside)[:3]}"
    if ended.signal or ended.hung:
        return "crashed or hung", ""
    if "\x1b" in ended.out + ended.err or "\u202e" in ended.out + ended.err:
        return "silently wrong", "control characters reach the terminal"
    if ended.told and case in REFUSED:
        return "noticed", ""
    if not ended.well:
        return "raw traceback", ended.said
    return ("silently wrong", ended.value) if ended.value else ("survived", "")
