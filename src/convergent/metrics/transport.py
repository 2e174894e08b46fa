"""The optimal transport plan between the units of two populations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base.arrays import Integers
from .column_generation import Plan
from .inputs import Named, Responses, paired_populations
from .population import Population
from .soft_matching import SoftMatching

__all__ = ["transport_plan"]

_LEAST_STIMULI = 3  # over two, every correlation is 1 or -1


def transport_plan(x: Responses, y: Responses) -> Plan:
    r"""Match units so that their total correlation is greatest, exactly.

    .. math:: \max_{T \ge 0} \sum_{ij} T_{ij} \operatorname{corr}(x_i, y_j)
              \quad\text{with}\quad \sum_j T_{ij} = \frac{1}{p}, \; \sum_i T_{ij} = \frac{1}{q}.

    Where p = q the plan is a permutation. Silent units are in no pair, and not counted in p and q.

    Parameters
    ----------
    x, y : Assembly, Population, or float array (n, p) and (n, q)
        Two populations. Stimuli of assemblies are matched by name and repeats averaged; arrays
        and populations are over the same stimuli in the same order.

    Returns
    -------
    Plan
        Pairs of units, by their positions in what was given, and the share of each pair; with the
        certificate that no other pair would improve the total.

    Raises
    ------
    InputError
        If the stimuli are not the same, or fewer than 3, or values are missing.

    Warns
    -----
    UserWarning
        If rounding error prevents the plan from being optimal.

    References
    ----------
    Khosla and Williams 2024, "Soft matching distance", PMLR 243; Bonneel, van de Panne, Paris and
    Heidrich 2011, ACM Transactions on Graphics 30 (network simplex, as in POT); Dantzig and Wolfe
    1960, Operations Research 8 (column generation).

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> plan = cv.transport_plan(x, 3 * x[:, [2, 0, 3, 1]] + 1)  # the same units in another order
    >>> plan.source.tolist(), plan.target.tolist()
    ([0, 1, 2, 3], [1, 3, 0, 2])
    """
    source, target = paired_populations(x, y, _LEAST_STIMULI, "a transport plan")
    fitted = SoftMatching().fit(source.whole(), target.whole())
    one = _places(x)[fitted.source.units[fitted.plan.source]]
    other = _places(y)[fitted.target.units[fitted.plan.target]]
    order = np.lexsort((other, one))
    return replace(
        fitted.plan, source=one[order], target=other[order], mass=fitted.plan.mass[order]
    )


def _places(given: Responses) -> Integers:
    """Position of each unit in what was given; those of an assembly were sorted by name."""
    if isinstance(given, Named):
        return np.argsort(given.units)
    return np.arange(given.n_units if isinstance(given, Population) else given.shape[1])
