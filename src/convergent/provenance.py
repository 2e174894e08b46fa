"""What is needed to do a score again: settings, data, versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from typing import Any

from .assembly import Assembly

__all__ = ["made_with", "parameters"]

LIBRARIES = ("convergent", "numpy", "scipy", "xarray", "torch", "POT")


def parameters(metric: object) -> dict[str, Any]:
    """Kind and hyper-parameters of a metric."""
    kind = type(metric).__name__
    if is_dataclass(metric) and not isinstance(metric, type):
        return {"metric": kind} | asdict(metric)
    return {"metric": kind, "value": repr(metric)}


def made_with(settings: Mapping[str, Any], **sides: Mapping[str, Assembly]) -> str:
    """All that is needed to do it again, as JSON.

    Parameters
    ----------
    settings : mapping
        Parameters of the call.
    **sides : mapping of Assembly
        The populations of each side, by name.
    """
    populations = {
        side: {name: _provenance(assembly) for name, assembly in several.items()}
        for side, several in sides.items()
    }
    versions = {library: version(library) for library in LIBRARIES}
    everything = (
        dict(settings) | populations | {"python": platform.python_version(), "versions": versions}
    )
    return json.dumps(everything, default=str)


def _provenance(assembly: Assembly) -> dict[str, Any]:
    return {
        "sha256": assembly.fingerprint(),
        "n_units": len(assembly.units),
        "repeats": assembly.repeats,
        "attrs": assembly.data.attrs,
    }
