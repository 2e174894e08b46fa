"""Statistics of batch normalisation, computed again for weights that have changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["batch_norms", "new_batch_statistics"]


def batch_norms(module: nn.Module) -> list[Any]:
    """Find all parts of a module that normalise batches.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    list of torch.nn.Module
    """
    kind = nn.modules.batchnorm._BatchNorm
    return [part for part in module.modules() if isinstance(part, kind)]


@contextmanager
def new_batch_statistics(module: nn.Module) -> Iterator[None]:
    """Replace means and variances of each layer by those of the inputs during a with statement.

    Parameters
    ----------
    module : torch.nn.Module
        Afterwards it is in evaluation mode, except for its batch normalisation, which is in
        training mode.

    References
    ----------
    Wu and Johnson 2021, arXiv 2105.07576.
    """
    norms = batch_norms(module)
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
