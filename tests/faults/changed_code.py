"""Networks and metrics that are changed: a study must not give the result of the earlier one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import works
from apart import apart, folder
from outcomes import Outcome, digest

import convergent as cv
from convergent.metrics.base import FoldScore

Change = tuple[Callable[[], Any], Callable[[], Any]]  # what is made before, and after


class Scaled(torch.nn.Module):
    """Multiplies by what some attribute, function or closure of it says."""

    def __init__(self, **held: Any) -> None:
        super().__init__()
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        held = vars(self)
        factor = held.get("factor", 1.0)
        if isinstance(factor, list):
            factor = factor[0]
        elif isinstance(factor, dict):
            factor = factor["of all"]
        elif isinstance(factor, set):
            factor = max(factor)
        elif isinstance(factor, np.ndarray):
            factor = float(factor[0])
        elif callable(factor):
            return factor(x)
        elif hasattr(factor, "factor"):
            factor = factor.factor
        return x * factor


class Settings:
    """An object of the user's own, with one setting."""

    def __init__(self, factor: float) -> None:
        self.factor = factor


def _network(part: torch.nn.Module, prepare: Callable[[Any], Any] = works.pixels) -> cv.Network:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), part)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.linspace(-1, 1, weight.numel()).reshape(weight.shape))
    return cv.Network("changed", module, prepare)


def _held(factor: Any) -> Callable[[], cv.Network]:
    return lambda: _network(Scaled(factor=factor))


def _times(factor: float, x: torch.Tensor) -> torch.Tensor:
    return x * factor


def _closure(factor: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: x * factor


def _default(factor: float) -> Callable[..., torch.Tensor]:
    def scale(x: torch.Tensor, by: float = factor) -> torch.Tensor:
        return x * by

    return scale


def _keyword(factor: float) -> Callable[..., torch.Tensor]:
    def scale(x: torch.Tensor, *, by: float = factor) -> torch.Tensor:
        return x * by

    return scale


def _with_hook(kind: str, factor: float) -> Callable[[], cv.Network]:
    def make() -> cv.Network:
        net = _network(torch.nn.ReLU())
        if kind == "forward":
            net.module[1].register_forward_hook(lambda *given: given[2] * factor)
        else:
            net.module[1].register_forward_pre_hook(lambda _, given: (given[0] * factor,))
        return net

    return make


def _executed(source: str, name: str = "Part") -> Callable[[], cv.Network]:
    """A class as it is typed at a prompt, whose source cannot be read."""

    def make() -> cv.Network:
        space: dict[str, Any] = {"torch": torch, "__name__": "__main__"}
        exec(source, space)
        return _network(space[name]())

    return make


_TYPED = """
{above}
class Part(torch.nn.Module):
    def forward(self, x):
        return {returned}
"""
_INHERITED = """
class Base(torch.nn.Module):
    def forward(self, x):
        return x * {factor}
class Part(Base):
    pass
"""
_CLASS_ATTRIBUTE = """
class Part(torch.nn.Module):
    factor = {factor}
    def forward(self, x):
        return x * self.factor
"""
_METHOD = """
class Part(torch.nn.Module):
    def forward(self, x):
        return self.scaled(x)
    def scaled(self, x):
        return x * {factor}
"""


def _typed(returned: str, above: str = "") -> Callable[[], cv.Network]:
    return _executed(_TYPED.format(returned=returned, above=above))


def _method_replaced(factor: float) -> Callable[[], cv.Network]:
    def make() -> cv.Network:
        part = torch.nn.Identity()
        part.forward = lambda x: x * factor  # type: ignore[method-assign]
        return _network(part)

    return make


def _preprocessed(factor: float) -> Callable[[], cv.Network]:
    return lambda: _network(torch.nn.ReLU(), lambda image: works.pixels(image) * factor)


NETWORKS: dict[str, Change] = {
    "hook": (_with_hook("forward", 1.0), _with_hook("forward", 0.5)),
    "hook where there was none": (lambda: _network(torch.nn.ReLU()), _with_hook("forward", 0.5)),
    "hook before": (_with_hook("before", 1.0), _with_hook("before", 0.5)),
    "number": (_held(1.0), _held(0.5)),
    "list": (_held([1.0]), _held([0.5])),
    "dict": (_held({"of all": 1.0}), _held({"of all": 0.5})),
    "set": (_held({1.0}), _held({0.5})),
    "array": (_held(np.array([1.0])), _held(np.array([0.5]))),
    "tensor that is no buffer": (_held(torch.tensor(1.0)), _held(torch.tensor(0.5))),
    "object of a class": (_held(Settings(1.0)), _held(Settings(0.5))),
    "partial": (_held(functools.partial(_times, 1.0)), _held(functools.partial(_times, 0.5))),
    "closure": (_held(_closure(1.0)), _held(_closure(0.5))),
    "default argument": (_held(_default(1.0)), _held(_default(0.5))),
    "keyword with default": (_held(_keyword(1.0)), _held(_keyword(0.5))),
    "constant in a function": (_held(lambda x: x * 1.0), _held(lambda x: x * 0.5)),
    "method of one instance": (_method_replaced(1.0), _method_replaced(0.5)),
    "class typed again": (_typed("x * 1.0"), _typed("x * 0.5")),
    "helper function": (
        _typed("scaled(x)", "def scaled(x):\n    return x * 1.0"),
        _typed("scaled(x)", "def scaled(x):\n    return x * 0.5"),
    ),
    "number in the module": (
        _typed("x * FACTOR", "FACTOR = 1.0"),
        _typed("x * FACTOR", "FACTOR = 0.5"),
    ),
    "base class": (
        _executed(_INHERITED.format(factor=1.0)),
        _executed(_INHERITED.format(factor=0.5)),
    ),
    "class attribute": (
        _executed(_CLASS_ATTRIBUTE.format(factor=1.0)),
        _executed(_CLASS_ATTRIBUTE.format(factor=0.5)),
    ),
    "method that forward calls": (
        _executed(_METHOD.format(factor=1.0)),
        _executed(_METHOD.format(factor=0.5)),
    ),
    "preprocessing": (_preprocessed(1.0), _preprocessed(0.5)),
}


# Metrics


class Fitted:
    """A map that scores every unit alike."""

    def __init__(self, value: float, q: int) -> None:
        self.value, self.q = value, q

    def score(self) -> FoldScore:
        return FoldScore(np.full(self.q, self.value))


_METRIC = """
from dataclasses import dataclass
{above}
@dataclass(frozen=True)
class Mine{bases}:
    {body}
    def fit(self, source, target):
        return Fitted({value}, target.values.shape[1] if hasattr(target, "values") else 5)
"""


def _metric(value: str, above: str = "", bases: str = "", body: str = "") -> Callable[[], Any]:
    def make() -> Any:
        space: dict[str, Any] = {"Fitted": Fitted, "np": np, "__name__": "__main__"}
        exec(_METRIC.format(above=above, bases=bases, body=body, value=value), space)
        return space["Mine"]()

    return make


_BASE = "class Base:\n    def value(self):\n        return {value}"

METRICS: dict[str, Change] = {
    "class typed again": (_metric("0.25"), _metric("0.75")),
    "helper function": (
        _metric("value()", "def value():\n    return 0.25"),
        _metric("value()", "def value():\n    return 0.75"),
    ),
    "base class": (
        _metric("self.value()", _BASE.format(value=0.25), "(Base)"),
        _metric("self.value()", _BASE.format(value=0.75), "(Base)"),
    ),
    "setting": (
        _metric("self.value", body="value: float = 0.25"),
        _metric("self.value", body="value: float = 0.75"),
    ),
    "class attribute": (
        _metric("self.value", body="value = 0.25"),
        _metric("self.value", body="value = 0.75"),
    ),
}


def _extract(change: Change, which: int, study: Path | None) -> str:
    """Activations of the second layer."""
    net = change[which]()
    found = cv.extract(net, works.images(), ["1"], study=study, progress=False)["1"]
    return digest(found.data.values)


def _score(change: Change, which: int, study: Path | None) -> str:
    found = cv.score(
        works.recording(6, 2).average(),
        works.recording(),
        {"mine": change[which]()},
        folds=cv.Folds(3),
        ceiling=None,
        study=study,
        progress=False,
    )
    return digest(found["r"].values)


def outcomes(
    each: int, seed: int, only: tuple[str, ...] = ("network", "metric")
) -> Iterator[Outcome]:
    """Changes of networks and metrics, each with a study that holds results of before.

    Parameters
    ----------
    each : int
        At most this many changes of each.
    seed : int
        Not used: all changes are known.
    only : tuple of str
        ``"network"``, ``"metric"``.
    """
    del seed
    asked = {"network": (NETWORKS, _extract), "metric": (METRICS, _score)}
    for what in only:
        changes, ask = asked[what]
        for name, change in list(changes.items())[:each]:
            found, detail = _tried(ask, change)
            yield Outcome(f"changed: {what}", name, found, detail)


def _tried(ask: Callable[..., str], change: Change) -> tuple[str, str]:
    with folder() as place:
        before = apart(ask, change, 0, place / "study")
        expected = apart(ask, change, 1, None)
        after = apart(ask, change, 1, place / "study")
        again = apart(ask, change, 1, place / "study")
    several = (before, expected, after, again)
    if any(ended.hung or ended.signal for ended in several):
        return "crashed or hung", ""
    for ended in several:
        if not ended.well:
            return ("noticed", "") if ended.told else ("raw traceback", ended.said)
    assert before.value != expected.value, "the change changes nothing"
    if not after.value == again.value == expected.value:
        return "silently wrong", "the result of before"
    return ("noticed" if after.warned else "survived"), ""
