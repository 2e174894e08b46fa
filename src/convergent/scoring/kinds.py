"""Kinds of results: which function made a result, and which functions are for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from ..base.errors import InputError, examples

__all__ = ["check_kind", "check_type"]

_FILE = ", and open a file with convergent.open first"


@dataclass(frozen=True)
class _Kind:
    """A kind of result.

    Attributes
    ----------
    use : str
        What to do with it, for messages.
    needs : tuple of str
        Variables that functions for this kind read.
    axes : tuple of str
        Dims that they go through.
    """

    use: str
    needs: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()


_TABLE = "draw it with plot.{0}, and make a table of a variable with result['{1}'].to_dataframe()"
_LAYERS = "convergent.report writes a page of the whole overview, and its .table('units') a table"

# by the attr `provenance`; names of functions are those of convergent, or of convergent.features
_KINDS: Mapping[str, _Kind] = {
    "score": _Kind(
        "summary, differences, best, against, report, and plot.scores, plot.units, "
        "plot.differences and plot.voxels are for it",
        ("r", "ceiling", "normalized", "explained_variance", "reliability"),
        ("metric", "source"),
    ),
    "hierarchy": _Kind(
        _TABLE.format("hierarchy", "r"),
        ("r", "partner_of_target", "depth_correlation", "source_depth", "target_depth"),
        ("metric", "source", "target"),
    ),
    "shift": _Kind(
        _TABLE.format("shift", "drop"), ("drop", "depth"), ("metric", "map", "level", "layer")
    ),
    "trajectory": _Kind(
        _TABLE.format("trajectory", "r"),
        ("r", "depth"),
        ("metric", "against", "pair", "step", "layer"),
    ),
    "compare": _Kind(
        "draw it with plot.compare, and make a table with result['value'].to_dataframe()",
        ("value", "kind", "role", "cross_validated"),
        ("measure", "first", "second"),
    ),
    "overview": _Kind(_LAYERS),
    "correlations": _Kind(
        "draw it with plot.correlation_matrices or plot.activation_spectra",
        ("source_mean", "target_mean"),
    ),
    "match_units": _Kind(
        "draw it with plot.matches, and make a table with features.unit_table", ("r", "side")
    ),
    "sparse_prediction": _Kind("draw it with plot.sparse_prediction", (), ("rule", "model")),
    "clusters": _Kind("draw it with plot.clusters", ("between", "label", "stability")),
    "partial_matching": _Kind("draw it with plot.partial_matching", ("matched", "best_share")),
    "local_or_distributed": _Kind("draw it with plot.locality", ("native", "rotated"), ("layer",)),
    "mutual_information": _Kind("read its variables, such as with .to_dataframe()"),
}
_SAME = {"privileged_axis": "score"}  # scores of this question have the form of those of `score`


def check_kind(result: Any, kind: str, function: str) -> None:
    """Check that a result is of the kind that a function is for.

    Parameters
    ----------
    result : object
        What the user gave.
    kind : str
        Name of the function of convergent, or of convergent.features, that makes such results.
    function : str
        Name of the function that was called, for the message.

    Raises
    ------
    InputError
        If it is no result, or one of another kind; the message says what it is, and which functions
        are for it.
    """
    maker, found = _maker(kind), _kind_of(result)
    if found is not None and found != kind:
        use = _KINDS[found].use if found in _KINDS else "read its variables"
        raise InputError(
            f"{function} is for what {maker} returned, and this is a result of {_maker(found)}: "
            f"{use}."
        )
    if not isinstance(result, xr.Dataset):
        raise InputError(
            f"{function} is for what {maker} returned, and this is a {type(result).__name__}: give "
            f"the result itself{_FILE if isinstance(result, str) else ''}."
        )
    known = _KINDS[kind]
    lacking = [name for name in known.needs if name not in result.variables]
    if lacking:
        raise InputError(
            f"{function} is for what {maker} returned, and this Dataset lacks "
            f"{examples(lacking, 5)}: give the result as it was returned."
        )
    single = [axis for axis in known.axes if axis not in result.dims]
    if single:
        raise InputError(
            f"{function} goes through {examples(single, 5)}, which this result has as one value or "
            f"not at all: choose parts of it with lists, as in .sel({single[0]}=['NAME'])."
        )


def check_type(result: Any, kind: type, function: str, maker: str) -> None:
    """Check that a result that is no Dataset is of the kind that a function is for.

    Parameters
    ----------
    result : object
        What the user gave.
    kind : type
        Such as `features.Overview`.
    function, maker : str
        Names of the function that was called, and of the one that makes such results.

    Raises
    ------
    InputError
        If it is of another kind.
    """
    if not isinstance(result, kind):
        raise InputError(
            f"{function} is for the {kind.__name__} that {maker} returned, and this is a "
            f"{type(result).__name__}: give the result itself."
        )


def _maker(kind: str) -> str:
    """Name of the function that makes results of a kind."""
    of_convergent = {"score", "hierarchy", "shift", "trajectory", "compare", "privileged_axis"}
    return f"{'convergent' if kind in of_convergent else 'features'}.{kind}"


def _kind_of(result: Any) -> str | None:
    """Kind of a result by its provenance; None if it has none."""
    try:
        kind = json.loads(result.attrs["provenance"])["kind"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return _SAME.get(str(kind), str(kind))
