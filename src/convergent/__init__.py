"""Compare networks with brains, and networks with networks.

>>> import convergent as cv
>>> stimuli, recording = cv.load("cowley2023", session="210325")  # doctest: +SKIP
>>> layers = cv.extract(cv.network("efficientnet-lite0"), stimuli)  # doctest: +SKIP
>>> cv.summary(cv.score(layers, recording))  # doctest: +SKIP
"""

import sys
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and mypy; Python imports a name when it is first used
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

# Where each name is defined: module:name, or a module that is itself public
_HOMES = {
    "CATEGORIES": "images.drawings:CATEGORIES",
    "DISTORTIONS": "images.distortions:DISTORTIONS",
    "METRICS": "metrics.table:METRICS",
    "NETWORKS": "networks.known:NETWORKS",
    "Assembly": "data.assembly:Assembly",
    "Bootstrap": "protocol.resampling:Bootstrap",
    "Card": "data.cards:Card",
    "CircularShifts": "metrics.circular_shifts:CircularShifts",
    "Compute": "base.compute:Compute",
    "Distortion": "images.distortions:Distortion",
    "Folds": "protocol.folds:Folds",
    "Forecast": "scoring.forecast:Forecast",
    "InputError": "base.errors:InputError",
    "Linear": "metrics.linear:Linear",
    "Network": "networks.network:Network",
    "Population": "metrics.population:Population",
    "Procrustes": "metrics.procrustes:Procrustes",
    "Protocol": "protocol.settings:Protocol",
    "Shuffle": "protocol.resampling:Shuffle",
    "SoftMatching": "metrics.soft_matching:SoftMatching",
    "Stimuli": "data.stimuli:Stimuli",
    "Study": "base.study:Study",
    "accuracy": "networks.accuracy:accuracy",
    "against": "scoring.tables:against",
    "align": "data.assembly:align",
    "best": "scoring.tables:best",
    "by_position": "data.positions:by_position",
    "card": "data.catalog:card",
    "cards": "data.catalog:cards",
    "checkpoints": "networks.checkpoints:checkpoints",
    "common_steps": "experiments.conditions:common_steps",
    "compare": "scoring.compare:compare",
    "data_root": "data.catalog:data_root",
    "differences": "scoring.tables:differences",
    "distances": "metrics.distances",
    "distort": "images.distortions:distort",
    "drawings": "images.drawings:drawings",
    "edges": "images.distortions:edges",
    "extract": "networks.extraction:extract",
    "features": "features",
    "fetch": "data.catalog:fetch",
    "findings": "experiments.kapoor2025.study:findings",
    "forecast": "scoring.forecast:forecast",
    "forecast_sizes": "scoring.forecast:forecast_sizes",
    "formats": "data.formats",
    "hierarchy": "experiments.hierarchy:hierarchy",
    "load": "data.catalog:load",
    "network": "networks.known:network",
    "open": "data.assembly:open_assembly",
    "open_layers": "data.layer_store:open_layers",
    "plot": "plot",
    "present": "data.catalog:present",
    "privileged_axis": "scoring.privileged_axis:privileged_axis",
    "read_card": "data.cards:read_card",
    "references": "metrics.references",
    "repeat_variance": "statistics.reliability:repeat_variance",
    "report": "reports.score_page:report",
    "rotated": "scoring.controls:rotated",
    "score": "scoring.score:score",
    "shift": "experiments.shift:shift",
    "shuffled": "scoring.controls:shuffled",
    "simulate": "simulate",
    "split_half": "statistics.reliability:split_half",
    "summary": "scoring.tables:summary",
    "train": "networks.training:train",
    "trajectory": "experiments.trajectory:trajectory",
    "transport_plan": "metrics.transport:transport_plan",
}

if not TYPE_CHECKING:  # or mypy would accept every attribute, misspelt ones too

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used (PEP 562)."""
        if name not in _HOMES:
            message = f"module {__name__!r} has no attribute {name!r}"
            # with these two, Python suggests names that are close
            raise AttributeError(message, name=name, obj=sys.modules[__name__])
        module, _, inner = _HOMES[name].partition(":")
        value = import_module(f".{module}", __name__)
        if inner:
            value = getattr(value, inner)
        globals()[name] = value  # later uses do not come here
        return value

    def __dir__() -> list[str]:
        """List the public names, whether they were used or not."""
        return [*__all__, "__version__"]
