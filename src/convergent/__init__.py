"""Compare networks with brains, and networks with networks.

>>> import convergent as cv
>>> stimuli, recording = cv.load("cowley2023", session="210325")  # doctest: +SKIP
>>> layers = cv.extract(cv.network("efficientnet-lite0"), stimuli)  # doctest: +SKIP
>>> cv.summary(cv.score(layers, recording))  # doctest: +SKIP
"""

from importlib.metadata import version

from . import distances, features, formats, plot, references, simulate
from .accuracy import accuracy
from .assembly import Assembly, align
from .assembly import open_assembly as open  # noqa: A004
from .catalog import card, cards, data_root, fetch, load, present, read_card
from .checkpoints import checkpoints, common_steps
from .comparison import compare
from .controls import rotated, shuffled
from .crossval import score
from .distortions import DISTORTIONS, Distortion, distort, edges
from .drawings import CATEGORIES, drawings
from .errors import InputError
from .experiments import hierarchy, shift, trajectory
from .extraction import extract
from .findings import findings
from .folds import Folds
from .forecast import Forecast, forecast, forecast_sizes
from .layer_store import open_layers
from .metrics import METRICS, CircularShifts, Linear, Procrustes, SoftMatching
from .metrics.transport import transport_plan
from .networks import NETWORKS, Network, network
from .positions import by_position
from .privileged_axis import privileged_axis
from .reliability import repeat_variance, split_half
from .report import report
from .resampling import Bootstrap, Shuffle
from .stimuli import Stimuli
from .study import Study
from .tables import against, best, differences, summary
from .training import train

__version__ = version("convergent")

__all__ = [
    "CATEGORIES",
    "DISTORTIONS",
    "METRICS",
    "NETWORKS",
    "Assembly",
    "Bootstrap",
    "CircularShifts",
    "Distortion",
    "Folds",
    "Forecast",
    "InputError",
    "Linear",
    "Network",
    "Procrustes",
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
