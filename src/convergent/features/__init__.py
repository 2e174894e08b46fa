"""Convergent features: what single units, and groups of units, of two networks have in common.

The questions are those of Li, Yosinski, Clune, Lipson and Hopcroft 2015 (arXiv 1511.07543). They
can be asked of two networks, of a network and a recording, or of two subjects.
"""

from ._best_stimuli import best_stimuli
from ._claims import claims
from ._clusters import cluster_table, clusters
from ._correlations import correlations
from ._locality import local_or_distributed
from ._match_tables import agreement, match_summary, unit_table
from ._matching import match_units
from ._mutual_information import mutual_information
from ._overview import overview
from ._overview_tables import Overview
from ._partial_matching import partial_matching
from ._sparse_prediction import sparse_prediction, sparse_table

__all__ = [
    "Overview",
    "agreement",
    "best_stimuli",
    "claims",
    "cluster_table",
    "clusters",
    "correlations",
    "local_or_distributed",
    "match_summary",
    "match_units",
    "mutual_information",
    "overview",
    "partial_matching",
    "sparse_prediction",
    "sparse_table",
    "unit_table",
]
