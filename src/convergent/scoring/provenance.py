"""Provenance: all that is needed to compute a result again, stored in its attrs."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ..base.compute import Compute
from ..base.errors import InputError
from ..data.assembly import Assembly
from ..data.zarr_files import may_change
from ..protocol.settings import Protocol

__all__ = ["check_unchanged", "hashes_of", "provenance"]

_LIBRARIES = ("convergent", "numpy", "scipy", "xarray", "torch", "POT")


def hashes_of(**sides: Mapping[Any, Assembly]) -> dict[str, dict[Any, str]]:
    """Hash the populations of each side; each is read once, completely.

    Parameters
    ----------
    **sides : dict of Assembly
        Populations by name.

    Returns
    -------
    dict of dict of str
        SHA-256 of each population, by side and name.
    """
    return {
        side: {name: assembly.fingerprint() for name, assembly in several.items()}
        for side, several in sides.items()
    }


def check_unchanged(name: str, assemblies: Sequence[Assembly], sha256: str) -> None:
    """Refuse to keep results of responses that changed after they were hashed.

    Parameters
    ----------
    name : str
        Name of the population in messages.
    assemblies : sequence of Assembly
        The population. Arrays of dask that may give other values when they are computed again are
        hashed once more. Arrays in memory and in stores of this package are not: these give the
        same values, or an error.
    sha256 : str
        Hashes before the work.

    Raises
    ------
    InputError
        If they changed.
    """
    if any(may_change(one.data.data) for one in assemblies):
        now = " ".join(one.fingerprint() for one in assemblies)
        if now != sha256:
            raise InputError(
                f"the responses of {name!r} changed while they were used, and no results of them "
                "were kept: their dask array gave other values when it was computed again. Wait "
                "until what it reads is complete, or load it into memory first (.data.load())."
            )


def provenance(
    kind: str,
    hashes: Mapping[str, Mapping[Any, str]],
    *,
    protocol: Protocol | None = None,
    compute: Compute | None = None,
    settings: Mapping[str, Any] | None = None,
    **sides: Mapping[Any, Assembly],
) -> dict[str, str]:
    """Make the attr ``provenance``: kind, protocol, settings, inputs and versions, as JSON.

    Parameters
    ----------
    kind : str
        Name of the function that computed the result.
    hashes : dict of dict of str
        From `hashes_of`, for the same sides.
    protocol : Protocol, optional
        Settings that decided the numbers.
    compute : Compute, optional
        Only its device is stored.
    settings : dict, optional
        Further parameters of the call, such as seeds.
    **sides : dict of Assembly
        Inputs, by side and name.

    Returns
    -------
    dict of str
        One item, ``provenance``, for `xarray.Dataset.assign_attrs` or the attrs of a table.
    """
    content: dict[str, Any] = {"kind": kind} | (protocol.as_dict() if protocol else {})
    if compute is not None:
        content["device"] = compute.device or "cpu"
    content |= dict(settings or {})
    content |= {
        side: {
            _text(name): _inputs(assembly, hashes[side][name]) for name, assembly in several.items()
        }
        for side, several in sides.items()
    }
    versions = {library: version(library) for library in _LIBRARIES}
    content |= {"python": platform.python_version(), "versions": versions}
    return {"provenance": json.dumps(content, default=str)}


def _text(name: Any) -> str:
    return " ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _inputs(assembly: Assembly, sha256: str) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "n_units": len(assembly.units),
        "repeats": assembly.repeats,
        "attrs": assembly.data.attrs,
    }
