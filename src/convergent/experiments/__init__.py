"""What the papers did, on populations of one's own."""

from .hierarchy import hierarchy
from .shift import shift
from .trajectory import trajectory

__all__ = ["hierarchy", "shift", "trajectory"]
