"""Figures of results, to be understood without a caption."""

from ._best_stimuli import best_stimuli
from ._clusters import clusters
from ._compare import compare
from ._differences import differences
from ._distortions import distortions
from ._figure import COLOURS, Picture
from ._hierarchy import hierarchy, matched_layers
from ._kapoor2025 import findings
from ._matches import activation_spectra, correlation_matrices, matches
from ._networks import networks
from ._overview import layer_figures, locality, overview
from ._predictions import partial_matching, sparse_prediction
from ._scores import scores
from ._shift import shift
from ._training import depth_profiles, emergence, trajectory
from ._units import units
from ._voxels import voxels

__all__ = [
    "COLOURS",
    "Picture",
    "activation_spectra",
    "best_stimuli",
    "clusters",
    "compare",
    "correlation_matrices",
    "depth_profiles",
    "differences",
    "distortions",
    "emergence",
    "findings",
    "hierarchy",
    "layer_figures",
    "locality",
    "matched_layers",
    "matches",
    "networks",
    "overview",
    "partial_matching",
    "scores",
    "shift",
    "sparse_prediction",
    "trajectory",
    "units",
    "voxels",
]
