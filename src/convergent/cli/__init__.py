"""The command line, ``convergent``: a room for each kind of question."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from ..base.errors import InputError
from . import between_networks, listing, scoring, small_studies, unit_features
from .console import note
from .options import app

__all__ = [
    "between_networks",
    "listing",
    "main",
    "scoring",
    "small_studies",
    "unit_features",
]


def main() -> None:
    """Run a command; bad input is told in a line, without a traceback."""
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    sys.path.insert(0, str(Path.cwd()))  # so that module:function may lie here
    try:
        app()
    except (InputError, OSError) as error:
        note(f"error: {error}")
        sys.exit(2)
