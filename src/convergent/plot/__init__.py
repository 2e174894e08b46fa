"""Figures that can be understood without their caption."""

from .of_best_stimuli import best_stimuli
from .of_distortions import distortions
from .of_experiments import hierarchy, shift, trajectory
from .of_features import (
    activation_spectra,
    clusters,
    correlation_matrices,
    locality,
    matches,
    overview,
    partial_matching,
    sparse_prediction,
)
from .of_findings import findings
from .of_scores import scores
from .picture import COLOURS, Picture

__all__ = [
    "COLOURS",
    "Picture",
    "activation_spectra",
    "best_stimuli",
    "clusters",
    "correlation_matrices",
    "distortions",
    "findings",
    "hierarchy",
    "locality",
    "matches",
    "overview",
    "partial_matching",
    "scores",
    "shift",
    "sparse_prediction",
    "trajectory",
]
