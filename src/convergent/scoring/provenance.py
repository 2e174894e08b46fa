"""What is needed to do a score again: settings, data, versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from importlib.metadata import version
from typing import Any

from ..base.hashing import code_of
from ..data.assembly import Assembly
from ..metrics.base import Metric

__all__ = ["LIBRARIES", "fingerprints", "made_with", "parameters"]


LIBRARIES = ("convergent", "numpy", "scipy", "xarray", "torch", "POT")


def parameters(metric: object) -> dict[str, Any]:
    """Kind and hyper-parameters of a metric; of a metric within it, its code as well."""
    kind = type(metric).__name__
    if is_dataclass(metric) and not isinstance(metric, type):
        within = {
            field.name: code_of(type(value)) | parameters(value)
            for field in fields(metric)
            if isinstance(value := getattr(metric, field.name), Metric)
        }
        return {"metric": kind} | asdict(metric) | within
    return {"metric": kind, "value": repr(metric)}


def fingerprints(**sides: Mapping[str, Assembly]) -> dict[str, dict[str, str]]:
    """SHA-256 of the populations of each side, by name: each is read through."""
    return {
        side: {name: assembly.fingerprint() for name, assembly in several.items()}
        for side, several in sides.items()
    }


def made_with(
    settings: Mapping[str, Any],
    prints: Mapping[str, Mapping[str, str]],
    **sides: Mapping[str, Assembly],
) -> str:
    """All that is needed to do it again, as JSON.

    Parameters
    ----------
    settings : mapping
        Parameters of the call.
    prints : mapping
        Their `fingerprints`.
    **sides : mapping of Assembly
        The populations of each side, by name.
    """
    populations = {
        side: {
            name: _provenance(assembly, prints[side][name]) for name, assembly in several.items()
        }
        for side, several in sides.items()
    }
    versions = {library: version(library) for library in LIBRARIES}
    everything = (
        dict(settings) | populations | {"python": platform.python_version(), "versions": versions}
    )
    return json.dumps(everything, default=str)


def _provenance(assembly: Assembly, fingerprint: str) -> dict[str, Any]:
    return {
        "sha256": fingerprint,
        "n_units": len(assembly.units),
        "repeats": assembly.repeats,
        "attrs": assembly.data.attrs,
    }
