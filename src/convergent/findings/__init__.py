"""The findings of "Bridging Critical Gaps in Convergent Learning", tried on small networks."""

from .plan import FULL, REDUCED, Plan
from .study import Findings, findings

__all__ = ["FULL", "REDUCED", "Findings", "Plan", "findings"]
