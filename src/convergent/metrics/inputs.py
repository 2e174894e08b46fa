"""What distances and references take: assemblies, populations or arrays, over the same stimuli."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from ..base.arrays import Array
from ..base.errors import InputError
from .population import Population

__all__ = ["Named", "Responses", "paired_populations"]


@runtime_checkable
class Named(Protocol):
    """Responses whose stimuli and units have names, such as a `convergent.Assembly`."""

    @property
    def units(self) -> NDArray[Any]:
        """Names of the units."""

    def paired(self, other: Any) -> tuple[Array, Array]:
        """Responses (n, p) and (n, q) over the shared stimuli; stimuli and units sorted by name."""


Responses = Named | Population | Array


def paired_populations(
    x: Responses, y: Responses, least: int, what: str
) -> tuple[Population, Population]:
    """Two populations over the same stimuli.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Stimuli of two assemblies are matched by name. Populations and arrays have no names: they
        are over the same stimuli in the same order.
    least : int
        How many stimuli the measure needs.
    what : str
        Name of the measure, for messages.

    Returns
    -------
    tuple of Population
        Stimuli, and units of assemblies, are sorted by name.

    Raises
    ------
    InputError
        If one side has names and the other has none; where the numbers of stimuli differ, or
        are too small; where an array holds no responses, or is not complete.
    """
    if isinstance(x, Named) and isinstance(y, Named):
        a, b = map(Population, x.paired(y))
    elif isinstance(x, Named) or isinstance(y, Named):
        kinds = sorted((type(x).__name__, type(y).__name__), key="Assembly".__ne__)
        raise InputError(
            f"the stimuli of an {kinds[0]} have names and those of a {kinds[1]} have none, so they "
            f"cannot be matched for {what}. Give both as assemblies (Assembly.from_array(values, "
            "stimuli=names)), or both as arrays over the same stimuli in the same order "
            "(assembly.average().data.values)."
        )
    else:
        a, b = (side if isinstance(side, Population) else Population(side) for side in (x, y))
    if a.n_stimuli != b.n_stimuli:
        raise InputError(
            f"one population has {a.n_stimuli} stimuli and the other {b.n_stimuli}: give both over "
            "the same stimuli in the same order (convergent.align matches them by name)."
        )
    if a.n_stimuli < least:
        raise InputError(
            f"{what} over {a.n_stimuli} stimuli says nothing: it needs at least {least}. Use more "
            "stimuli."
        )
    return a, b
