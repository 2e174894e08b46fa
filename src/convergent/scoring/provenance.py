"""Provenance: what is needed to compute a result again, in the attrs of every result."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from ..base.compute import Compute
from ..data.assembly import Assembly
from ..protocol.settings import Protocol

__all__ = ["LIBRARIES", "hashes_of", "provenance"]

LIBRARIES = ("convergent", "numpy", "scipy", "xarray", "torch", "POT")


def hashes_of(**sides: Mapping[Any, Assembly]) -> dict[str, dict[Any, str]]:
    """SHA-256 of the populations of each side, by name; each is read through.

    Parameters
    ----------
    **sides : dict of Assembly
        Populations by name.
    """
    return {
        side: {name: assembly.fingerprint() for name, assembly in several.items()}
        for side, several in sides.items()
    }


def provenance(
    kind: str,
    hashes: Mapping[str, Mapping[Any, str]],
    *,
    protocol: Protocol | None = None,
    compute: Compute | None = None,
    settings: Mapping[str, Any] | None = None,
    **sides: Mapping[Any, Assembly],
) -> dict[str, str]:
    """The attr ``provenance``: kind, protocol, settings, inputs and versions, as JSON.

    Parameters
    ----------
    kind : str
        The function that made the result.
    hashes : dict of dict of str
        From `hashes_of`, of the same sides.
    protocol : Protocol, optional
        What decided the numbers.
    compute : Compute, optional
        Its device is written down.
    settings : dict, optional
        Further parameters of the call, seeds among them.
    **sides : dict of Assembly
        What went in, by side and name.

    Returns
    -------
    dict
        For `xarray.Dataset.assign_attrs`, or the attrs of a table.
    """
    made: dict[str, Any] = {"kind": kind} | (protocol.as_dict() if protocol else {})
    if compute is not None:
        made["device"] = compute.device or "cpu"
    made |= dict(settings or {})
    made |= {
        side: {
            _text(name): _inputs(assembly, hashes[side][name]) for name, assembly in several.items()
        }
        for side, several in sides.items()
    }
    versions = {library: version(library) for library in LIBRARIES}
    made |= {"python": platform.python_version(), "versions": versions}
    return {"provenance": json.dumps(made, default=str)}


def _text(name: Any) -> str:
    return " ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _inputs(assembly: Assembly, sha256: str) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "n_units": len(assembly.units),
        "repeats": assembly.repeats,
        "attrs": assembly.data.attrs,
    }
