"""Figures that can be understood without their caption."""

from .of_distortions import distortions
from .of_experiments import hierarchy, shift, trajectory
from .of_findings import findings
from .of_scores import scores
from .picture import Picture

__all__ = ["Picture", "distortions", "findings", "hierarchy", "scores", "shift", "trajectory"]
