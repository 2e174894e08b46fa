"""File formats that are read into an `Assembly`: arrays of numpy, brain volumes (NIfTI)."""

from .arrays import from_npy
from .nifti import from_nifti, to_nifti

__all__ = ["from_nifti", "from_npy", "to_nifti"]
