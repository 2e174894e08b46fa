"""The harness of the benchmarks on tiny arrays: what programs find, not how long they take."""

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))

pytestmark = pytest.mark.slow

EXACT = {  # workload, peer -> most that convergent's answers may differ
    ("ridge", "scikit-learn"): {"largest difference of r": 1e-4},
    ("ridge", "himalaya-torch"): {"median difference of r": 1e-3},
    ("soft-matching", "pot"): {"difference of objectives": 1e-6},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with the results of two workloads."""
    folder = tmp_path_factory.mktemp("benchmarks")
    run(folder)
    return folder


def run(folder):
    """Both workloads, one round; what it says on stderr."""
    only = ["--only", "ridge,soft-matching", "--rounds", "1", "--small", "--out", str(folder)]
    command = [sys.executable, str(HERE / "run.py"), *only]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def test_convergent_finds_what_its_peers_find(results):
    table = pd.read_csv(results / "results.csv").set_index(["workload", "peer"])
    for pair, allowed in EXACT.items():
        if pair[1].startswith("himalaya") and not find_spec("himalaya"):
            assert pair not in table.index
            continue
        found = json.loads(table.loc[pair, "agreement"])
        for what, most in allowed.items():
            assert abs(found[what]) < most, (pair, found)
    ridge = json.loads(table.loc[("ridge", "scikit-learn"), "agreement"])
    assert ridge["share of same penalties"] == 1


def test_finished_runs_are_kept(results):
    assert run(results) == ""  # nothing is run again
    text = (results / "results.md").read_text()
    assert "scikit-learn" in text
    assert "cores: " in text


def test_scaling_finds_the_exponent(tmp_path):
    scaling = importlib.import_module("scaling")
    runs = {
        f"scaling-{varied}-{size}": {"linear": [{"seconds": 1e-6 * size**2, "growth_mb": 1.0}]}
        for varied, sizes in scaling.SIZES.items()
        for size in sizes
    }
    scaling.write(tmp_path, runs)
    table = pd.read_csv(tmp_path / "scaling.csv")
    assert table["exponent"].to_numpy() == pytest.approx(2)
    assert table["seconds_there"].to_numpy() == pytest.approx(
        1e-6 * table["ten_times_the_largest"] ** 2
    )
    assert (tmp_path / "scaling.png").exists()


def test_a_study_beyond_is_the_product_of_what_grows():
    scaling = importlib.import_module("scaling")
    power = {"stimuli": 2.0, "units": 1.0, "targets": 0.5, "layers": 1.0}
    table = pd.DataFrame(
        {"varied": varied, "metric": "linear", "size": size, "exponent": power[varied]}
        | {"seconds": 3 * (size / scaling.BASE[varied]) ** power[varied]}
        for varied in power
        for size in scaling.SIZES[varied]
    )
    expected = 3.0 * scaling.SUBJECTS
    for varied, size in scaling.BEYOND.items():
        expected *= (size / scaling.BASE[varied]) ** power[varied]
    assert scaling.beyond(table)["days"].to_numpy() * 86400 == pytest.approx(expected)
