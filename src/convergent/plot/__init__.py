"""Figures that can be understood without their caption."""

from .of_distortions import distortions
from .of_experiments import hierarchy, shift, trajectory
from .of_findings import findings
from .of_scores import scores
from .picture import COLOURS, Picture

__all__ = [
    "COLOURS",
    "Picture",
    "distortions",
    "findings",
    "hierarchy",
    "scores",
    "shift",
    "trajectory",
]
