"""Compare networks with brains, and networks with networks.

>>> import convergent as cv
>>> stimuli, recording = cv.load("cowley2023", session="210325")  # doctest: +SKIP
>>> layers = cv.extract(cv.network("efficientnet-lite0"), stimuli)  # doctest: +SKIP
>>> cv.summary(cv.score(layers, recording))  # doctest: +SKIP
"""

from importlib.metadata import version

from . import features, plot, simulate
from .base.compute import Compute
from .base.errors import InputError
from .base.study import Study
from .data import formats
from .data.assembly import Assembly, align
from .data.assembly import open_assembly as open  # noqa: A004
from .data.cards import Card, read_card
from .data.catalog import card, cards, data_root, fetch, load, present
from .data.layer_store import open_layers
from .data.positions import by_position
from .data.stimuli import Stimuli
from .experiments.conditions import common_steps
from .experiments.hierarchy import hierarchy
from .experiments.kapoor2025.study import findings
from .experiments.shift import shift
from .experiments.trajectory import trajectory
from .images.distortions import DISTORTIONS, Distortion, distort, edges
from .images.drawings import CATEGORIES, drawings
from .metrics import distances, references
from .metrics.circular_shifts import CircularShifts
from .metrics.linear import Linear
from .metrics.population import Population
from .metrics.procrustes import Procrustes
from .metrics.soft_matching import SoftMatching
from .metrics.table import METRICS
from .metrics.transport import transport_plan
from .networks.accuracy import accuracy
from .networks.checkpoints import checkpoints
from .networks.extraction import extract
from .networks.known import NETWORKS, network
from .networks.network import Network
from .networks.training import train
from .protocol.folds import Folds
from .protocol.resampling import Bootstrap, Shuffle
from .protocol.settings import Protocol
from .reports.score_page import report
from .scoring.compare import compare
from .scoring.controls import rotated, shuffled
from .scoring.forecast import Forecast, forecast, forecast_sizes
from .scoring.privileged_axis import privileged_axis
from .scoring.score import score
from .scoring.tables import against, best, differences, summary
from .statistics.reliability import repeat_variance, split_half

__version__ = version("convergent")

__all__ = [
    "CATEGORIES",
    "DISTORTIONS",
    "METRICS",
    "NETWORKS",
    "Assembly",
    "Bootstrap",
    "Card",
    "CircularShifts",
    "Compute",
    "Distortion",
    "Folds",
    "Forecast",
    "InputError",
    "Linear",
    "Network",
    "Population",
    "Procrustes",
    "Protocol",
    "Shuffle",
    "SoftMatching",
    "Stimuli",
    "Study",
    "accuracy",
    "against",
    "align",
    "best",
    "by_position",
    "card",
    "cards",
    "checkpoints",
    "common_steps",
    "compare",
    "data_root",
    "differences",
    "distances",
    "distort",
    "drawings",
    "edges",
    "extract",
    "features",
    "fetch",
    "findings",
    "forecast",
    "forecast_sizes",
    "formats",
    "hierarchy",
    "load",
    "network",
    "open",
    "open_layers",
    "plot",
    "present",
    "privileged_axis",
    "read_card",
    "references",
    "repeat_variance",
    "report",
    "rotated",
    "score",
    "shift",
    "shuffled",
    "simulate",
    "split_half",
    "summary",
    "train",
    "trajectory",
    "transport_plan",
]
