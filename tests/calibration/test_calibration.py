"""The calibration in a reduced form: fewer experiments, wider by their Monte-Carlo error.

In full: ``python tests/calibration/run.py --out FOLDER``.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))  # before the benchmarks, which have a "run" too
studies, run = (importlib.import_module(name) for name in ("studies", "run"))

pytestmark = pytest.mark.slow

ERRORS = 3  # Monte-Carlo standard errors that are allowed
SAMPLES = 100


@pytest.fixture(scope="module")
def pool():
    """Two processes for all tests."""
    with studies.processes(2) as several:
        yield several


def rows_of(study, experiments, pool, **settings):
    """Rows of all experiments of one condition."""
    condition = studies.Condition("reduced", settings, experiments)
    return studies.table_of(condition, list(studies.experiments(study, condition, pool)))


def summary_of(study, experiments, pool, **settings):
    """The table of one condition, by metric."""
    rows = rows_of(study, experiments, pool, **settings)
    return studies.STUDIES[study].summarize(rows).set_index("metric")


# Ceilings


@pytest.mark.parametrize("noise", studies.NOISE_LEVELS)
def test_a_perfect_model_scores_1_with_many_stimuli(pool, noise):
    ceilings = ["split-half", "attainable"]
    table = summary_of("ceilings", 2, pool, n_stimuli=4000, noise=noise, ceilings=ceilings)
    # the error of so few experiments is not known well: the largest of all metrics
    allowed = studies.CLOSE_WITH_MANY + ERRORS * table["error"].max()
    assert allowed < 0.06
    assert (table["off_by"].abs() < allowed).all(), table


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_attainable_mends_what_few_stimuli_cost(pool, noise):
    ceilings = ["split-half", "attainable"]
    table = summary_of("ceilings", 20, pool, n_stimuli=100, noise=noise, ceilings=ceilings)
    mended = table[table["ceiling"] == "attainable"]
    allowed = studies.CLOSE_WITH_FEW + ERRORS * mended["error"]
    assert (mended["off_by"].abs() < allowed).all(), table
    # what it is for: split-half takes the map to cost nothing
    off = table[table["ceiling"] == "split-half"]["off_by"]
    assert (off["linear"] < -0.01) & (off["linear"] < mended["off_by"]["linear"])


@pytest.mark.parametrize("c", [0.2, 0.9, studies.perfect.MIXED])
def test_a_perfect_model_scores_1_at_any_reliability(pool, c):
    settings = {"reliability": c, "n_stimuli": 60, "repeats": 4}
    rows = rows_of("reliability", 30, pool, **settings)
    table = studies.summarize_reliability(rows).iloc[0]
    assert table["given"] == 1
    assert abs(table["normalized"] - 1) < studies.CLOSE_WITH_FEW + ERRORS * table["error"]


@pytest.mark.parametrize("kind", ["Poisson", "ReLU"])
def test_attainable_knows_the_distributions_of_responses(pool, kind):
    settings = {"responses": kind, "n_stimuli": 200, "signal": "30 units"}
    table = summary_of("responses", 4, pool, **settings)
    off = (table["normalized"] - 1).abs()
    assert (off < studies.CLOSE_WITH_MANY + ERRORS * table["error"].max()).all(), table


def test_other_subjects_are_no_limit_for_a_perfect_model(pool):
    table = summary_of("inter-subject", 6, pool, n_stimuli=300, noise=1.0)
    other = table[table["ceiling"] == "inter-subject"]["normalized"]
    # 20 noisy units of the same 10 signals: at best sqrt(1 + 1/12), a copy with noise 1/6 more
    assert ((other > 1.02) & (other < 1.15)).all(), table


@pytest.mark.parametrize(("n", "q"), [(30, 30), (60, 200), (200, 30)])
def test_a_copy_of_a_network_scores_exactly_1(pool, n, q):
    table = summary_of("self", 2, pool, n_stimuli=n, n_units=q)
    assert (table["largest_deviation"] < 1e-9).all(), table


# Intervals


@pytest.mark.parametrize(
    ("subjects", "metrics"), [(0, ["linear", "soft-matching"]), (8, ["linear", "procrustes"])]
)
def test_intervals_hold_the_truth(pool, subjects, metrics):
    experiments = 18
    settings = {"subjects": subjects, "samples": SAMPLES, "metrics": metrics}
    settings |= {"n_stimuli": 200, "ceiling": "split-half"}
    table = summary_of("coverage", experiments, pool, **settings)
    low, high = studies.COVERAGE
    error = np.sqrt(low * (1 - low) / experiments)
    assert (table["coverage"] > low - ERRORS * error).all(), table
    # with so few experiments the width says more: in deviations of the estimate, t of these
    degrees = subjects - 1 if subjects else np.inf
    widths = stats.t.ppf((1 + np.array([low, high])) / 2, degrees)
    chance = ERRORS / np.sqrt(2 * (experiments - 1))
    least, most = widths * [1 - chance, 1 + chance]
    assert table["half_width_over_sd"].between(least, most).all(), (least, most, table)


@pytest.mark.parametrize("question", ["trajectory", "shift"])
def test_intervals_of_experiments_hold_the_truth(pool, question):
    settings = {"question": question, "n_stimuli": 60, "noise": 0.7, "samples": 40}
    rows = rows_of("experiments", 16, pool, **settings)
    table = studies.STUDIES["experiments"].summarize(rows)
    low = studies.COVERAGE[0]
    least = low - ERRORS * np.sqrt(low * (1 - low) / 16)
    assert (table["coverage"] > least).all(), table


# Nothing to be found


def assert_uniform(table):
    """Neither far from uniform, nor more false positives than 5% +- 2%, but for chance."""
    assert (table["ks_p"] > 0.001).all(), table
    high = max(studies.FALSE_POSITIVES)
    most = high + ERRORS * np.sqrt(high * (1 - high) / table["experiments"])
    assert (table["false_positives"] < most).all(), table


def test_p_against_shuffles_is_uniform(pool):
    assert_uniform(summary_of("null-shuffle", 30, pool, n_stimuli=60, shuffles=39))


def test_p_of_the_privileged_axis_is_uniform(pool):
    assert_uniform(summary_of("null-rotation", 30, pool, n_stimuli=60, rotations=39))


@pytest.mark.parametrize(("subjects", "metrics"), [(0, ["linear", "procrustes"]), (8, ["linear"])])
def test_equally_good_sources_are_not_told_apart(pool, subjects, metrics):
    settings = {"subjects": subjects, "samples": SAMPLES, "metrics": metrics}
    assert_uniform(summary_of("null-difference", 26, pool, n_stimuli=200, **settings))


@pytest.mark.parametrize("noise", [studies.NEAR, studies.EQUAL], ids=["near", "equal"])
def test_the_best_source_is_kept(pool, noise):
    settings = {"n_stimuli": 200, "subjects": 0, "noise": noise, "samples": SAMPLES}
    table = summary_of("best", 30, pool, metrics=["linear"], **settings)
    error = np.sqrt(studies.LEVEL * (1 - studies.LEVEL) / 30)
    assert (table["best_is_kept"] > studies.LEVEL - ERRORS * error).all(), table
    if noise is studies.NEAR:  # and a source that is far worse is not
        assert (table["number_kept"] < 4.5).all(), table


# Power


def test_more_stimuli_and_repeats_find_more(pool):
    rows = rows_of("power", 10, pool, n_stimuli=100, repeats=[2, 16], samples=100)
    more = rows_of("power", 10, pool, n_stimuli=400, repeats=[2, 16], samples=100)
    curves = [studies.power_curves(each) for each in (rows, more)]
    greatest = [each.groupby("n_repeats")["found"].max() for each in curves]
    assert greatest[0][16] >= 0.5
    least = [studies.summarize_power(each)["smallest_difference"] for each in (rows, more)]
    assert (least[1] < least[0].fillna(np.inf)).all(), curves


# The command


def test_the_command_goes_on_where_it_stopped(tmp_path, capsys):
    order = ["--out", str(tmp_path), "--experiments", "2", "--jobs", "1", "--only", "self"]
    assert run.main(order) == 0
    assert "there already" not in capsys.readouterr().out
    table = tmp_path / "conditions" / "self-n30-units30.csv"
    first = table.read_text()
    table.unlink()
    assert run.main(order) == 0
    assert capsys.readouterr().out.count("there already") == 5
    assert table.read_text() == first
    assert run.main([*order[:3], "60", *order[4:]]) == 0  # other settings: done again
    assert "there already" not in capsys.readouterr().out
    assert "Meets what is wanted: yes: 18," in (tmp_path / "calibration.md").read_text()


def test_tables_and_figures_of_all_studies(pool, tmp_path):
    drawn = {"n_stimuli": 30, "samples": 5}
    both = drawn | {"subjects": 0}
    tiny = {
        "ceilings": {"n_stimuli": 30, "noise": 0.5, "ceilings": list(studies.CEILINGS)},
        "reliability": {"reliability": 0.5, "n_stimuli": 30, "repeats": 2},
        "responses": {"responses": "Poisson", "n_stimuli": 30, "signal": "30 units"},
        "inter-subject": {"n_stimuli": 30, "noise": 0.5},
        "self": {"n_stimuli": 30, "n_units": 10},
        "coverage": both | {"ceiling": "split-half"},
        "regimes": {"regime": "groups15x4", "samples": 5},
        "experiments": {"question": "trajectory", "n_stimuli": 30, "noise": 0.7, "samples": 5},
        "null-shuffle": {"n_stimuli": 30, "shuffles": 3},
        "null-rotation": {"n_stimuli": 30, "rotations": 3},
        "null-difference": both,
        "best": both | {"noise": studies.NEAR},
        "power": drawn | {"repeats": [2, 4]},
    }
    found = {}
    for name in studies.STUDIES:
        rows = rows_of(name, 2, pool, **tiny[name])
        found[name] = rows, studies.STUDIES[name].summarize(rows)
    run.write(tmp_path, found, 2, "none")
    written = {file.name for file in tmp_path.iterdir()}
    assert {f"{name}.csv" for name in studies.STUDIES} <= written
    assert {f"{name}.png" for name in run.FIGURES} <= written
    said = (tmp_path / "calibration.md").read_text()
    assert all(f"## {study.question}" in said for study in studies.STUDIES.values())


def test_the_number_of_processes_does_not_matter(pool):
    settings = {"n_stimuli": 60, "shuffles": 9}
    apart, here = (rows_of("null-shuffle", 3, each, **settings) for each in (pool, None))
    assert apart.equals(here)
