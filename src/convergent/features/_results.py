"""Results of the questions about units: their provenance, and their keys in a study."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..base.compute import Compute
from ..base.hashing import keys_if_known, recipe
from ..protocol.settings import Protocol
from ..scoring.provenance import check_unchanged, provenance
from ._two_populations import TwoPopulations

__all__ = ["OF_SCORES", "result", "used"]

OF_SCORES = ("metrics", "ceiling", "min_reliability")  # settings that mean nothing for units
_CODE = ("metrics", "statistics", "protocol", "scoring", "features")  # decides these results


def used(protocol: Protocol, *names: str) -> dict[str, Any]:
    """Plain values of those parts of a protocol that decide a result.

    Parameters
    ----------
    protocol : Protocol
        The whole.
    *names : str
        Such as ``"folds"``.
    """
    whole = protocol.as_dict()
    return {name: whole[name] for name in names}


def result(
    kind: str,
    pair: TwoPopulations,
    make: Callable[[], xr.Dataset],
    compute: Compute,
    settings: Mapping[str, Any],
) -> xr.Dataset:
    """Make a result and add its provenance, or read it from the study that keeps it.

    Parameters
    ----------
    kind : str
        Name of the public function.
    pair : TwoPopulations
        What is compared.
    make : function
        Computes the result.
    compute : Compute
        Its study, if there is one, keeps the result, unless this package's files changed after
        they were loaded.
    settings : mapping
        All that decides the result, the populations apart: plain values.

    Returns
    -------
    xarray.Dataset
        With the attrs ``n_stimuli``, ``source``, ``target`` and ``provenance``; units are in the
        order in which they were given.
    """
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in settings.items()}
    one, other = pair.sides

    def described() -> xr.Dataset:
        attrs = provenance(
            kind,
            {"sources": {one.name: one.sha256}, "targets": {other.name: other.sha256}},
            settings=plain,
            sources={one.name: one.given},
            targets={other.name: other.given},
        )
        found = pair.as_given(make()).assign_attrs(pair.attrs, **attrs)
        if compute.study is not None:
            for side in pair.sides:
                check_unchanged(side.name, [side.given], side.sha256)
        return found

    if compute.study is None or keys_if_known(f"results of {kind}", _CODE) is None:
        return described()
    groups = None if pair.groups is None or "folds" not in plain else pair.groups.astype(str)
    splits = None
    if (plain.get("folds") or {}).get("order"):  # a label, which no hash of responses includes
        tests = np.concatenate([test for _, test in pair.splits])
        splits = hashlib.sha256(tests.tobytes()).hexdigest()
    key = recipe(
        kind,
        _CODE,
        populations=[[side.name, side.sha256] for side in pair.sides],
        groups=groups if groups is None else hashlib.sha256("\0".join(groups).encode()).hexdigest(),
        splits=splits,
        settings=plain,
    )
    return compute.study.dataset(key, described)
