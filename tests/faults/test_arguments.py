"""Arguments of all public functions: what is wrong is refused, and the message says why.

In full: ``python tests/faults/arguments.py`` (1,000 examples), or with ``--each``.
"""

import importlib
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cases import image_names, labelled
from matplotlib import pyplot

import convergent as cv

sys.path.insert(0, str(Path(__file__).parent))
arguments, calls = (importlib.import_module(name) for name in ("arguments", "calls"))

EXAMPLES = 120
TOO_LONG = {*arguments.TOO_LONG, "train", "forecast", "forecast_sizes", "network", "report"}


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few stimuli
        return calls.Calls(tmp_path_factory.mktemp("calls")).all


def test_every_public_function_is_called(every):
    assert calls.public() - set(every) == set()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_calls_are_valid(every, quick):
    long = [name for name in every if name in TOO_LONG or name.startswith(("features.", "plot."))]
    for name in set(every) - set(long) if quick else set(long) - arguments.TOO_LONG:
        every[name].function(**every[name].arguments)
        pyplot.close("all")  # more than twenty open figures are a warning


def test_bad_arguments_are_refused(every):
    worse = []

    def seen(trial, outcome):
        if outcome.kind not in ("returned", "refused"):
            worse.append((outcome.kind, trial, outcome.text))

    counts = arguments.run_arguments(EXAMPLES, calls=every, seen=seen)
    assert counts["tried"] >= EXAMPLES
    assert counts["refused"] > counts["tried"] / 2
    assert 100 * counts["raw"] <= counts["tried"], worse
    assert not [each for each in worse if each[0] != "raw"]


# Levels and shares


def scored(**settings):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((18, 3))
    layers = {
        name: labelled(x + s * rng.standard_normal((18, 3))) for name, s in (("a", 1), ("b", 2))
    }
    settings = {"bootstrap": cv.Bootstrap(8, refits=2), "ceiling": None} | settings
    return cv.score(layers, labelled(x), "linear", folds=cv.Folds(2), **settings)


@pytest.mark.parametrize("level", [95, 0, 1, 1.0, 0.0, -0.5, float("nan"), "0.95", None, True])
def test_a_level_is_a_share(every, level):
    taking = [
        name for name, call in every.items() if "level" in call.arguments if name != "distort"
    ]
    assert len(taking) >= 8
    for name in taking:
        call = every[name]
        with pytest.raises(cv.InputError, match=r"^level=.*give a share between 0 and 1, such as"):
            call.function(**{**call.arguments, "level": level})


@pytest.mark.parametrize("threshold", ["alpha", "shared"])
def test_a_threshold_is_a_share(every, threshold):
    for call in every.values():
        if threshold in call.arguments and "matches" in call.arguments:
            with pytest.raises(cv.InputError, match=f"^{threshold}=5: give a share"):
                call.function(**{**call.arguments, threshold: 5})


@pytest.mark.parametrize("least", [2, 10, -2, float("nan"), float("inf"), "0.1", None])
def test_a_least_reliability_is_one(least):
    with pytest.raises(cv.InputError, match=r"^min_reliability=.*give a number from -1 to 1"):
        scored(min_reliability=least)


# Seeds


@pytest.mark.parametrize("seed", [2**32, -1, 0.0, 1.5, True, None, "0", float("nan"), [1, 2]])
def test_one_rule_for_all_seeds(every, seed):
    taking = [name for name, call in every.items() if "seed" in call.arguments]
    assert len(taking) >= 18
    for name in taking:
        call = every[name]
        with pytest.raises(
            cv.InputError, match=r"^seed=.*give a whole number from 0 to 4294967295"
        ):
            call.function(**{**call.arguments, "seed": seed})


@pytest.mark.parametrize("kind", [cv.Folds, cv.Bootstrap, cv.Shuffle])
def test_the_largest_seed_and_those_of_numpy(kind):
    assert kind(seed=2**32 - 1).seed == 2**32 - 1
    assert type(kind(seed=np.uint32(7)).seed) is int  # so that it can be written
    assert kind(seed=np.int64(7)) == kind(seed=7)


def test_drawing_with_the_largest_seed(every):
    for name in ("drawings", "simulate.recording", "shuffled", "rotated", "Assembly.halves"):
        every[name].function(**{**every[name].arguments, "seed": 2**32 - 1})


# Names


@pytest.mark.parametrize(
    "names", [{0: 1, 1: 1}, {0: 1, "0": 1}, {None: 1}, {("a", 1): 1}, {b"a": 1}]
)
def test_names_of_populations_are_strings(names):
    one = labelled(np.random.default_rng(0).standard_normal((18, 3)))
    several = dict.fromkeys(names, one)
    for ask in (cv.score, cv.compare, cv.hierarchy, cv.privileged_axis, cv.forecast):
        with pytest.raises(cv.InputError, match=r"names are strings|two layers or more"):
            ask(several, one)
    with pytest.raises(cv.InputError, match=r"metrics has the key 0.*names are strings"):
        cv.Protocol({0: cv.Linear()})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (set(image_names(3)), "given as a set"),
        (dict.fromkeys(image_names(3), 1), "give a list with the name of each"),
        ("abc", "give a list with the name of each"),
        (["a", "b", None], "None is among the names"),
        (["a", "b", float("nan")], "nan is among the names"),
        (["a", "b", 7], "7 is among the names"),
        ([b"a", "b", "c"], "b'a' is among the names"),
        ([["a"], ["b"], ["c"]], r"\['a'\] is among the names"),
        (["a", "b", "a"], "occur more than once"),
        (3, "give a list with the name of each"),
    ],
)
def test_names_of_rows_are_a_list_of_strings(names, message):
    with pytest.raises(cv.InputError, match=message):
        cv.Assembly.from_array(np.eye(3), stimuli=names)
    with pytest.raises(cv.InputError, match=message):
        cv.Assembly.from_array(np.eye(3), stimuli=image_names(3), units=names)


# Paths


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    one = labelled(np.eye(4), "one")
    assert cv.Study("~/study").path == tmp_path / "study"
    one.save("~/one.nc")
    assert cv.open("~/one.nc").name == "one"
    cv.drawings(1, 16)[0].save(tmp_path / "a.png")
    assert len(cv.Stimuli.from_folder("~")) == 1
    np.save(tmp_path / "a.npy", np.eye(3))
    names = image_names(3)
    cv.formats.from_npy("~/a.npy", stimuli=names, dims=("stimulus", "unit"))
    (tmp_path / "epoch-1.pt").write_bytes(b"")
    assert list(cv.checkpoints("~")) == [1.0]
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("path", ["", " ", "a\0b", "\ud800", "x" * 300, None, 3, b"here", ["a"]])
def test_what_is_no_path(every, path):
    kinds = {"path", "folder", "store", "study", "checkpoint"}
    taking = [
        (call, argument)
        for name, call in every.items()
        for argument in kinds & set(call.arguments)
        if name != "Card" and not (path is None and argument in call.optional)
    ]
    assert len(taking) >= 8
    for call, argument in taking:
        with pytest.raises(cv.InputError, match="give a path, such as"):
            call.function(**{**call.arguments, argument: path})


# Numbers


@pytest.mark.parametrize("rate", [1e30, 0, -1.0, float("nan"), float("inf"), "0.1"])
def test_a_rate_at_which_nothing_is_learned(tmp_path, rate):
    with pytest.raises(cv.InputError, match=r"^learning_rate="):
        cv.train("small-plain", tmp_path / "run", learning_rate=rate)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("scale", [1e38, 1e100, 1e139, 1e-139])
def test_scores_do_not_depend_on_the_scale(scale):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 8))
    y = x @ rng.standard_normal((8, 5)) + 0.5 * rng.standard_normal((60, 5))

    def scores(source, target):
        settings = {"folds": cv.Folds(3), "ceiling": None}
        return cv.score(labelled(source), labelled(target), **settings)["r"].values

    np.testing.assert_allclose(scores(x * scale, y * scale), scores(x, y), rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200])
def test_one_unit_of_another_scale(scale):
    rng = np.random.default_rng(0)
    trials = rng.standard_normal((30, 3, 1)) + 0.5 * rng.standard_normal((30, 3, 4))
    small = trials * [[1], [min(scale, 1e139)], [1]]
    expected = cv.split_half(trials, 5).full
    np.testing.assert_allclose(cv.split_half(small, 5).full, expected, rtol=1e-9)
    np.testing.assert_allclose(cv.split_half(labelled(small), 5).full, expected, rtol=1e-9)
    x = trials.mean(2)
    y = small.mean(2)
    linear = {"folds": cv.Folds(3), "ceiling": None}
    np.testing.assert_allclose(
        cv.score(labelled(x), labelled(y), "linear", **linear)["r"].values,
        cv.score(labelled(x), labelled(x), "linear", **linear)["r"].values,
        rtol=1e-9,
    )


@pytest.mark.parametrize(("scale", "word"), [(1e141, "large"), (1e200, "large"), (1e-200, "small")])
def test_responses_whose_squares_cannot_be_represented(scale, word):
    values = scale * np.random.default_rng(0).standard_normal((18, 3))
    with pytest.raises(cv.InputError, match=f"squares of such numbers are too {word}"):
        labelled(values)
    with pytest.raises(cv.InputError, match=f"squares of such numbers are too {word}"):
        cv.Population(values)


@pytest.mark.parametrize("values", [np.ones((3, 3), complex), np.eye(3) > 0, np.full((3, 3), None)])
def test_values_that_are_no_numbers(values):
    with pytest.raises(cv.InputError, match=r"an assembly holds (real numbers|floats)"):
        cv.Assembly.from_array(values, stimuli=image_names(3))


def test_a_masked_array_has_nan_where_it_is_masked():
    masked = np.ma.masked_less(np.arange(9.0).reshape(3, 3), 4)
    found = cv.Assembly.from_array(masked, stimuli=image_names(3))
    assert np.isnan(found.data.values).sum() == 4


def test_a_refused_call_leaves_nothing(tmp_path):
    for bad in ({"level": 95}, {"title": 3}):
        with pytest.raises((cv.InputError, TypeError)):
            cv.report(scored(), tmp_path / "report.html", **bad)
    with pytest.raises(cv.InputError):
        cv.Compute(study=tmp_path / "study", progress="yes")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Index, pd.Series, iter])
def test_metrics_in_any_list(kind):
    assert list(cv.Protocol(kind(["linear", "procrustes"])).metrics) == ["linear", "procrustes"]


def test_numbers_that_python_does_not_write():
    with pytest.raises(cv.InputError, match="folds=<int>: give a whole number"):
        cv.Folds(10**5000)
