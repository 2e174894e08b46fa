"""The lower bounds of dependencies are the versions that the tests are run with."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("demo", "cluster", "benchmarks")  # tools of developers need not be old


def versions(lines, sign):
    """Version by name of package, from lines such as ``numpy>=2.2.6``."""
    found = {}
    for line in lines:
        match = re.fullmatch(rf"([\w.-]+){sign}([\w.]+)", line)
        assert match, line
        found[match[1].lower()] = match[2]
    return found


def test_bounds_are_the_lowest_versions_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = list(project["dependencies"])
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    lines = (ROOT / ".ci/constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == sorted(pins, key=str.lower)

    bounds, tested = versions(requirements, ">="), versions(pins, "==")
    assert bounds.keys() == tested.keys()
    del bounds["torch"], tested["torch"]  # builds of old ones are several GB
    assert bounds == tested
