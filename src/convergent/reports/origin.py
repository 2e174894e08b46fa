"""Where a result comes from: its provenance, and how to compute it again."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from ..data.catalog import cards
from ..metrics.table import METRICS
from .numbers import count, listed

__all__ = ["Origin", "today"]

_USUAL = {"folds", "ceiling", "min_reliability", "bootstrap", "shuffle"}
_USUAL_METRICS = {  # with what is not said when it is as usual
    made.__name__: json.loads(json.dumps(vars(made()))) for made in METRICS.values()
}
_METRICS = ("Linear", "Procrustes", "SoftMatching", "CircularShifts")
_POSITIONAL = ("first", "second", "runs")


def today() -> str:
    """The date, in universal time; that of ``SOURCE_DATE_EPOCH``, where builds are repeated."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    return time.strftime("%Y-%m-%d", time.gmtime(int(seconds) if seconds.isdigit() else None))


@dataclass(frozen=True)
class Origin:
    """What a result says of its inputs and settings.

    Attributes
    ----------
    content : dict
        The attr ``provenance``, read; empty where there is none.
    command : dict
        The attr ``command``, read; empty where the result is of no command.
    """

    content: Mapping[str, Any]
    command: Mapping[str, Any]

    @classmethod
    def of(cls, result: xr.Dataset) -> Origin:
        """Read the attrs of a result."""
        return cls(_read(result, "provenance"), _read(result, "command"))

    def inputs(self, side: str) -> dict[str, dict[str, Any]]:
        """What is known of the populations of a side (``sources``, ``targets``), by name."""
        found = self.content.get(side)
        if not isinstance(found, dict):
            return {}
        return {str(name): one for name, one in found.items() if isinstance(one, dict)}

    def known(self, side: str, key: str) -> list[str]:
        """Different values of an attr of the populations of a side, as texts."""
        values = [one.get("attrs", {}).get(key) for one in self.inputs(side).values()]
        return list(dict.fromkeys(str(value) for value in values if value not in {None, ""}))

    def setting(self, name: str) -> Any:
        """A setting of the protocol; None where there is none."""
        return self.content.get(name)

    @property
    def source_word(self) -> str:
        """What the sources are: layers of a network, or any populations."""
        inputs = self.inputs("sources")
        of_network = [one.get("attrs", {}) for one in inputs.values()]
        is_network = [bool({"network", "weights_sha256"} & set(attrs)) for attrs in of_network]
        return "Layer" if inputs and all(is_network) else "Source"

    @property
    def version(self) -> str:
        """Version of convergent that computed the result."""
        return str(dict(self.content.get("versions") or {}).get("convergent", "unknown"))

    def compared(self, n_stimuli: Any) -> dict[str, str]:
        """What was compared, in terms and words; what is not known is left out."""
        words, sources, targets = self.source_word, self.inputs("sources"), self.inputs("targets")
        known: dict[str, str] = {"Network": self._network()}
        known[f"{words}s"] = f"{len(sources)}: {listed(list(sources))}" if sources else ""
        known["Data"] = self._data()
        known["Citation"] = "\n".join(self.known("targets", "citation"))
        known["Licence of the data"] = ", ".join(self.known("targets", "licence"))
        known["Targets"] = "\n".join(_population(name, one) for name, one in targets.items())
        known["Stimuli"] = str(n_stimuli)
        known["Metrics"] = ", ".join(map(str, self.content.get("metrics") or ()))
        known["Date of the page"] = today()
        known["Version"] = f"convergent {self.version}"
        known["Command"] = self.shell()
        return {term: about for term, about in known.items() if about}

    def _network(self) -> str:
        """Network, weights, and what became of the positions of a layer."""
        names = [*self.known("sources", "network"), *self.known("sources", "network_name")]
        if not names:
            return ""
        more = [*self.known("sources", "weights")]
        more += [f"positions of a layer: {kind}" for kind in self.known("sources", "spatial")]
        return listed(names) + (f" ({'; '.join(more)})" if more else "")

    def _data(self) -> str:
        names = self.known("targets", "data_set")
        if not names:
            return str(dict(self.command.get("options") or {}).get("data") or "")
        more = [f"version {one}" for one in self.known("targets", "version")]
        more += [f"session {one}" for one in self.known("targets", "session")]
        if "True" in self.known("targets", "simulated"):
            more.append("simulated")
        return listed(names) + (f" ({', '.join(more)})" if more else "")

    def shell(self) -> str:
        """The command that computed the result; '' if none did."""
        options, name = self.command.get("options"), self.command.get("name")
        if not isinstance(options, dict) or not name:
            return ""
        words = ["convergent", str(name)]
        for key in _POSITIONAL:
            given = options.get(key)
            words += [str(one) for one in (given if isinstance(given, list) else [given]) if one]
        for key, value in options.items():
            option = f"--{key.replace('_', '-')}"
            if key in _POSITIONAL or not value:
                continue
            words += [option] if value is True else [f"{option}={value}"]
        return shlex.join(words)

    def python(self) -> str:
        """Lines of Python that compute the scores again; what is not known is a comment."""
        calls = [*self._python_targets(), *self._python_sources()]
        settings = [
            f"{name}={_python(name, self.setting(name))}"
            for name in sorted(_USUAL)
            if name in self.content
        ]
        metrics = {name: _metric(of) for name, of in (self.content.get("metrics") or {}).items()}
        lines = [f"{name!r}: {value},{more}" for name, (value, more) in metrics.items()]
        return "\n".join([
            "import convergent as cv",
            "",
            *calls,
            "metrics = {",
            *(f"    {line}" for line in lines),
            "}",
            "scores = cv.score(",
            "    sources,",
            "    targets,",
            "    metrics,",
            *(f"    {setting}," for setting in settings),
            ")",
            'cv.report(scores, "report.html")',
            "",
        ])  # fmt: skip

    def _python_targets(self) -> list[str]:
        targets = list(self.inputs("targets"))
        data, sessions = self.known("targets", "data_set"), self.known("targets", "session")
        by = dict(self.command.get("options") or {}).get("by")
        if len(data) != 1 or data[0] not in cards() or len(sessions) > 1:
            return [
                f"# the recording{'s' if len(targets) > 1 else ''}, by name: an Assembly for each",
                f"targets = {_blanks(targets)}",
            ]
        session = f", session={sessions[0]!r}" if sessions else ""
        lines = [f"stimuli, recording = cv.load({data[0]!r}{session})"]
        if by:
            return [*lines, f"targets = recording.by({str(by)!r})"]
        if len(targets) == 1:
            return [*lines, f"targets = {{{targets[0]!r}: recording}}"]
        return [
            *lines,
            "# the parts of the recording, such as recording.by('region')",
            f"targets = {_blanks(targets)}",
        ]

    def _python_sources(self) -> list[str]:
        sources = list(self.inputs("sources"))
        networks, spatial = self.known("sources", "network"), self.known("sources", "spatial")
        weights = self.known("sources", "weights")
        unknown = [
            "# the populations that are mapped, by name: an Assembly for each",
            f"sources = {_blanks(sources)}",
        ]
        if len(networks) != 1 or len(spatial) != 1 or len(weights) > 1:
            return unknown
        name, kind = networks[0], (weights or [""])[0]
        trained = ""
        if kind.startswith("untrained, seed "):
            trained = f", pretrained=False, seed={kind.removeprefix('untrained, seed ')}"
        elif kind.startswith("checkpoint "):
            trained = f", checkpoint={kind.removeprefix('checkpoint ')!r}"
        lines = [] if self._loads_stimuli() else ["stimuli = ...  # the images"]
        return [
            *lines,
            f"network = cv.network({name!r}{trained})",
            f"layers = {sources!r}",
            f"sources = cv.extract(network, stimuli, layers, spatial={spatial[0]!r})",
        ]

    def _loads_stimuli(self) -> bool:
        return any(line.startswith("stimuli, ") for line in self._python_targets())

    def json(self) -> str:
        """The whole provenance, as JSON."""
        return json.dumps(self.content, indent=1, ensure_ascii=False)


def _read(result: xr.Dataset, name: str) -> dict[str, Any]:
    try:
        found = json.loads(result.attrs.get(name, ""))
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _population(name: str, one: Mapping[str, Any]) -> str:
    """A population in words: ``V4: 90 units, up to 6 repeats``."""
    words = [count(int(one.get("n_units", 0)), "unit")]
    repeats = int(one.get("repeats", 1))
    words.append(f"up to {repeats} repeats of a stimulus" if repeats > 1 else "no repeats")
    return f"{name}: {', '.join(words)}"


def _python(name: str, value: Any) -> str:
    """A setting as Python writes it."""
    if not isinstance(value, dict):
        return repr(value).replace("-inf", "float('-inf')")
    fields = ", ".join(f"{key}={_tuple(one)!r}" for key, one in value.items() if one is not None)
    return f"cv.{name.capitalize()}({fields})"


def _metric(of: Mapping[str, Any]) -> tuple[str, str]:
    """A metric as Python writes it, and a comment where it is one of the user's own."""
    kind = str(of.get("metric"))
    fields = {key: value for key, value in of.items() if key != "metric"}
    if kind not in _METRICS:
        given = ", ".join(f"{key}={value!r}" for key, value in fields.items())
        return "...", f"  # your own: {kind}({given})"
    if kind in _USUAL_METRICS and fields == _USUAL_METRICS[kind]:
        return f"cv.{kind}()", ""
    given = ", ".join(
        f"{key}={_metric(value)[0] if isinstance(value, dict) else repr(_tuple(value))}"
        for key, value in fields.items()
    )
    return f"cv.{kind}({given})", ""


def _blanks(names: Sequence[str]) -> str:
    """A dict of names, to be filled in."""
    return f"{{{', '.join(f'{name!r}: ...' for name in names)}}}"


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
