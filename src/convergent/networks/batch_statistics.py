"""What batch normalisation divides by, set anew for weights as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["batch_norms", "new_batch_statistics"]


def batch_norms(module: nn.Module) -> list[Any]:
    """All parts that normalise batches.

    Parameters
    ----------
    module : torch.nn.Module
        Of any kind.
    """
    kind = nn.modules.batchnorm._BatchNorm
    return [part for part in module.modules() if isinstance(part, kind)]


@contextmanager
def new_batch_statistics(module: nn.Module) -> Iterator[None]:
    """Means and variances of each layer become those over all that is shown meanwhile.

    Parameters
    ----------
    module : torch.nn.Module
        Left in evaluation mode, but for its batch normalisation, which is left in training mode.

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
