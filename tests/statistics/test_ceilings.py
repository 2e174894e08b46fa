"""Ceilings through `score`: known answers, what they must not depend on, and bad input."""

import re

import numpy as np
import pytest
from cases import labelled
from scipy.stats import ortho_group

import convergent as cv
from convergent.protocol.resampling import draw_resamples
from convergent.statistics.ceilings import CEILINGS

N = 60
METRICS = tuple(cv.METRICS)


@pytest.fixture(autouse=True)
def few_simulations(monkeypatch):
    """Enough where nothing hangs on their number."""
    monkeypatch.setattr("convergent.statistics.ceilings.SIMULATIONS", 4)


def recorded(signal, noise, repeats, seed=0):
    """Trials of a signal (n, q), with independent noise."""
    rng = np.random.default_rng(seed)
    return signal[:, :, None] + noise * rng.standard_normal((*signal.shape, repeats))


def ceiling_of(scores):
    """Ceiling of each metric and unit, by name of the unit."""
    return scores["ceiling"].sortby("unit").values


@pytest.fixture(scope="module")
def signal():
    """Of pairs of units that have much in common."""
    rng = np.random.default_rng(1)
    return np.repeat(rng.standard_normal((N, 6)), 2, axis=1) + rng.normal(0, 0.4, (N, 12))


@pytest.fixture(scope="module")
def source(signal):
    rng = np.random.default_rng(2)
    return labelled(signal @ rng.standard_normal((12, 30)) + rng.standard_normal((N, 30)), "layer")


@pytest.fixture(scope="module")
def target(signal):
    """A recording of two subjects."""
    trials = recorded(signal, 1.0, 4)
    return labelled(trials, "V4", subject=("unit", ["ann", "bob"] * 6))


def plain(target):
    """The mean responses, as of a network."""
    return cv.Assembly(target.average().data.rename("network"))


def input_of(ceiling, target):
    """A recording, or a network of more units than stimuli."""
    if ceiling != "self":
        return target
    return labelled(np.random.default_rng(12).standard_normal((N, 90)), "network")


# Known answers


@pytest.mark.parametrize(
    ("ceiling", "estimate"),
    [("split-half", cv.split_half), ("repeat-variance", cv.repeat_variance)],
)
def test_reliability_ceilings_are_the_root_of_the_reliability(source, target, ceiling, estimate):
    scores = cv.score(source, target, ceiling=ceiling)
    found = estimate(target.data.values)
    np.testing.assert_allclose(scores["reliability"], found.full, rtol=1e-12)
    np.testing.assert_allclose(scores["split_half_r"], found.halves, rtol=1e-12)
    for metric in METRICS:
        np.testing.assert_allclose(scores["ceiling"].sel(metric=metric), np.sqrt(found.full))


@pytest.mark.parametrize("ceiling", ["split-half", "repeat-variance", "attainable"])
def test_a_perfect_model_reaches_one_with_many_stimuli(ceiling):
    signal = np.random.default_rng(3).standard_normal((1000, 8))
    scores = cv.score(labelled(signal), labelled(recorded(signal, 1.0, 4)), ceiling=ceiling)
    np.testing.assert_allclose(cv.summary(scores)["normalized"], 1, atol=0.02)


def test_with_few_stimuli_only_the_attainable_ceiling_counts_what_the_fit_costs(monkeypatch):
    monkeypatch.setattr("convergent.statistics.ceilings.SIMULATIONS", 10)
    found = {"split-half": [], "attainable": []}
    for seed in range(4):
        signal = np.random.default_rng(seed).standard_normal((N, 20))
        trials = labelled(recorded(signal, 1.0, 4, seed + 100))
        for ceiling, normalized in found.items():
            scores = cv.score(labelled(signal), trials, ceiling=ceiling)
            normalized.append(cv.summary(scores)["normalized"])
    linear, procrustes, matching = np.mean(found["split-half"], axis=0)
    assert linear < 0.94
    assert procrustes < 0.97
    assert matching == pytest.approx(1, abs=0.02)  # a matching costs next to nothing
    np.testing.assert_allclose(np.mean(found["attainable"], axis=0), 1, atol=0.03)


def test_the_attainable_ceiling_is_below_that_of_reliability(source, target):
    known, possible = (
        cv.score(source, target, ceiling=ceiling)["ceiling"].median("unit")
        for ceiling in ("repeat-variance", "attainable")
    )
    assert (possible < known).all()
    assert (possible > 0.6 * known).all()


def test_without_noise_the_attainable_ceiling_is_that_of_the_copy(signal):
    exact = np.repeat(signal[:, :, None], 3, axis=2)
    scores = cv.score(labelled(signal), labelled(exact), ceiling="attainable")
    np.testing.assert_allclose(scores["ceiling"], 1, atol=1e-6)
    np.testing.assert_allclose(scores["normalized"], 1, atol=1e-6)


@pytest.mark.parametrize("units", [12, 150])  # fewer, and more, than stimuli
def test_self_is_the_score_of_a_rotated_or_permuted_copy(units):
    rng = np.random.default_rng(4)
    network = rng.standard_normal((N, 30)) @ rng.standard_normal((30, units))
    scores = cv.score(labelled(rng.standard_normal((N, 9))), labelled(network), ceiling="self")
    turned = labelled(network @ ortho_group.rvs(units, random_state=4))
    mixed = labelled(3 * network[:, rng.permutation(units)] + 1)
    for copy, metric in ((turned, "linear"), (turned, "procrustes"), (mixed, "soft-matching")):
        r = cv.score(copy, labelled(network), metric, ceiling=None)["r"].mean("fold").squeeze()
        np.testing.assert_allclose(scores["ceiling"].sel(metric=metric), r, atol=1e-6)
    assert (scores["ceiling"].sel(metric="linear") < 1).all()
    assert scores["reliability"].isnull().all()
    assert (scores["excluded"] == "").all()


def test_self_normalizes_a_copy_to_one():
    network = labelled(np.random.default_rng(5).standard_normal((N, 100)))
    scores = cv.score(network, network, ceiling="self")
    np.testing.assert_allclose(scores["normalized"].mean("fold"), 1, rtol=1e-9)
    assert (scores["r"].sel(metric="linear").mean("fold") < 0.9).any()


def test_inter_subject_is_the_score_of_the_other_subjects_units():
    rng = np.random.default_rng(6)
    shared = rng.standard_normal((N, 5))
    values = shared @ rng.uniform(0.5, 1.5, (5, 14)) + rng.standard_normal((N, 14))
    names = np.array(list("aabbbcccccbbaa"))
    units = [f"u{i}" for i in rng.permutation(14)]
    subjects = labelled(values, units=units, subject=("unit", names))
    scores = cv.score(labelled(shared), subjects, ceiling="inter-subject")
    for name, own in subjects.by("subject").items():
        others = cv.Assembly(subjects.data.isel(unit=names != name))
        r = cv.score(others, own, ceiling=None)["r"].mean("fold").squeeze()
        found = scores["ceiling"].sel(unit=own.units)
        np.testing.assert_allclose(found, r, atol=1e-9)
    np.testing.assert_allclose(scores["normalized"], scores["r"] / scores["ceiling"])


def test_inter_subject_leaves_unreliable_units_out_where_there_are_repeats(source, target):
    noise = np.random.default_rng(7).standard_normal((N, 1, 4))
    noise -= 0.5 * noise.mean(2, keepdims=True)
    names = [*target.data["subject"].values, "bob"]
    trials = np.concatenate([target.data.values, noise], axis=1)
    trials = labelled(trials, "V4", subject=("unit", names))
    scores = cv.score(source, trials, "linear", ceiling="inter-subject")
    np.testing.assert_allclose(scores["reliability"], cv.split_half(trials.data.values).full)
    assert scores["excluded"].values.tolist() == [""] * 12 + ["reliability below 0.1"]
    assert scores["ceiling"][0, :12].notnull().all()


# What they must not depend on


@pytest.mark.parametrize("ceiling", CEILINGS)
def test_order_of_stimuli_and_units_does_not_matter(source, target, ceiling):
    given = input_of(ceiling, target)
    rng = np.random.default_rng(8)
    units = rng.permutation(len(given.units))
    mixed = given.data.isel(stimulus=rng.permutation(N), unit=units)
    before, after = (
        cv.score(source, goal, ceiling=ceiling) for goal in (given, cv.Assembly(mixed))
    )
    np.testing.assert_allclose(ceiling_of(after), ceiling_of(before), atol=1e-9)
    np.testing.assert_array_equal(after["unit"], mixed["unit"])


@pytest.mark.parametrize("ceiling", CEILINGS)
def test_ceilings_are_deterministic_and_do_not_depend_on_what_is_scored(source, target, ceiling):
    given = input_of(ceiling, target)
    everything = cv.score({"layer": source, "other": plain(target)}, given, ceiling=ceiling)
    for metric in METRICS:
        alone = cv.score(source, given, metric, ceiling=ceiling)["ceiling"].squeeze()
        np.testing.assert_array_equal(everything["ceiling"].sel(metric=metric), alone)


@pytest.mark.parametrize("ceiling", CEILINGS)
def test_shift_and_scale_of_the_recording_do_not_matter(source, target, ceiling):
    given = input_of(ceiling, target)
    before, after = (
        cv.score(source, goal, ceiling=ceiling)["ceiling"]
        for goal in (given, cv.Assembly(50 - 3 * given.data))
    )
    np.testing.assert_allclose(after, before, atol=1e-9)


@pytest.mark.parametrize("ceiling", ["inter-subject", "self", "attainable"])
def test_ceilings_are_found_under_the_folds_of_the_score(source, target, ceiling, monkeypatch):
    monkeypatch.setattr("convergent.statistics.ceilings.SIMULATIONS", 30)
    given = input_of(ceiling, target)
    found = {
        folds: cv.score(source, given, "linear", folds=folds, ceiling=ceiling)["ceiling"]
        for folds in (cv.Folds(2), cv.Folds(10))
    }
    few, many = (each.median() for each in found.values())
    assert few < many  # more training stimuli


@pytest.mark.parametrize("ceiling", CEILINGS)
def test_they_are_resampled_with_the_stimuli(source, target, ceiling):
    given = input_of(ceiling, target)
    scores = cv.score(source, given, ceiling=ceiling, bootstrap=cv.Bootstrap(30, refits=2))
    assert scores["ceiling"].notnull().all()
    draws = scores["ceiling_draws"]
    assert (draws.std("draw").sel(metric="linear") > 0).all()
    # the same stimuli move score and ceiling, so that what they share cancels
    np.testing.assert_allclose(draws.median("draw"), scores["ceiling"], atol=0.15)
    alone = cv.score(source, given, ceiling=ceiling)
    np.testing.assert_array_equal(scores["ceiling"], alone["ceiling"])


@pytest.mark.parametrize("ceiling", ["inter-subject", "self"])
def test_their_resamples_are_scores_in_the_same_resamples(source, target, ceiling):
    given = input_of(ceiling, target)
    bootstrap = cv.Bootstrap(5, refits=2)
    scores = cv.score(source, given, ceiling=ceiling, bootstrap=bootstrap)
    pairs = [(given, given)]
    if ceiling == "inter-subject":
        parts = given.by("subject")
        pairs = [(parts["ann"], parts["bob"]), (parts["bob"], parts["ann"])]
    for one, other in pairs:
        draws = cv.score(one, other, ceiling=None, bootstrap=bootstrap)["r_draws"].squeeze("source")
        found = scores["ceiling_draws"].sel(unit=other.units)
        expected = draws.where(draws > 0).transpose(*found.dims)
        np.testing.assert_allclose(found, expected, atol=1e-6)


# Repeats as they come


@pytest.mark.parametrize("ceiling", ["split-half", "repeat-variance", "attainable"])
def test_unequal_repeats_are_allowed(source, target, ceiling):
    trials = target.data.copy()
    kept = np.random.default_rng(9).integers(2, 5, N)
    trials.values[np.arange(4) >= kept[:, None, None] + np.zeros((1, 12, 1))] = np.nan
    scores = cv.score(source, cv.Assembly(trials), ceiling=ceiling)
    whole = cv.score(source, target, ceiling=ceiling)
    assert (scores["n_repeated_stimuli"] == N).all()
    lower = scores["ceiling"].mean("unit") - whole["ceiling"].mean("unit")
    assert (lower < 0.01).all()
    assert (scores["ceiling"] > 0.4).all()


@pytest.mark.parametrize("ceiling", ["split-half", "repeat-variance", "attainable"])
def test_repeats_of_some_stimuli_alone_are_counted_and_said(source, target, ceiling):
    trials = target.data.copy()
    trials[20:, :, 1:] = np.nan
    with pytest.warns(UserWarning, match="target 'V4' rests on the 20 of 60 stimuli"):
        scores = cv.score(source, cv.Assembly(trials), ceiling=ceiling)
    assert (scores["n_repeated_stimuli"] == 20).all()
    assert scores["ceiling"].notnull().all()
    assert (scores["ceiling"] < 1).all()


@pytest.mark.parametrize("ceiling", ["split-half", "repeat-variance", "attainable"])
def test_resamples_without_repeated_stimuli_have_no_ceiling(source, target, ceiling):
    trials = target.data.copy()
    trials[4:, :, 1:] = np.nan
    bootstrap = cv.Bootstrap(150, refits=2)
    with pytest.warns(UserWarning, match="rests on the 4 of 60 stimuli"):
        scores = cv.score(
            source, cv.Assembly(trials), "linear", ceiling=ceiling, bootstrap=bootstrap
        )
    drawn = draw_resamples(bootstrap, None, cv.Folds().split(N)).counts[:, :4].sum(1)
    assert (drawn == 0).any()
    assert scores["ceiling_draws"][drawn == 0].isnull().all()
    assert scores["ceiling_draws"][drawn > 2].notnull().any("unit").mean() > 0.5


@pytest.mark.parametrize("ceiling", ["split-half", "repeat-variance", "attainable"])
def test_a_unit_that_was_never_repeated_has_no_ceiling_and_is_counted(source, target, ceiling):
    trials = target.data.copy()
    trials[:, 2, 1:] = np.nan
    scores = cv.score(source, cv.Assembly(trials), ceiling=ceiling)
    excluded = np.where(np.arange(12) == 2, "reliability cannot be estimated", "")
    np.testing.assert_array_equal(scores["excluded"], excluded)
    missing = scores["ceiling"].isnull()
    np.testing.assert_array_equal(missing, np.tile(excluded != "", (3, 1)))
    assert scores["r"].notnull().all()
    table = cv.summary(scores)
    assert list(table["n_units_excluded"]) == [1] * 3
    assert table["normalized"].notna().all()


@pytest.mark.parametrize("ceiling", ["split-half", "repeat-variance", "attainable"])
def test_one_unit_is_enough(source, target, ceiling):
    one = cv.Assembly(target.data.isel(unit=[4]))
    scores = cv.score(source, one, ceiling=ceiling)
    known = np.sqrt(scores["reliability"].item())
    np.testing.assert_allclose(scores["ceiling"], known, atol=0.15)


def test_units_that_are_not_recorded_or_silent_do_not_disturb_the_others(source, target):
    extra = np.concatenate([np.full((N, 1, 4), value) for value in (np.nan, 3.0)], axis=1)
    more = labelled(np.concatenate([target.data.values, extra], axis=1), "V4")
    for ceiling in ("split-half", "repeat-variance", "attainable"):
        before, after = (
            cv.score(source, x, ceiling=ceiling)["ceiling"].values for x in (target, more)
        )
        np.testing.assert_array_equal(after[:, :12], before)
        assert np.isnan(after[:, 12:]).all()


def test_normalized_can_be_above_one_and_is_not_clipped(target):
    leaked = plain(target)  # knows the noise
    scores = cv.score(leaked, target, "linear")
    assert (scores["normalized"] > 1).any()


# Bad input


@pytest.mark.parametrize("ceiling", ["split-half", "repeat-variance", "attainable"])
def test_no_repeats_where_they_are_needed(source, target, ceiling):
    message = rf"ceiling='{ceiling}' needs at least two repeats.*target 'network' has one.*'self'"
    with pytest.raises(cv.InputError, match=message):
        cv.score(source, plain(target), ceiling=ceiling)


def test_self_is_for_populations_without_noise(source, target):
    with pytest.raises(cv.InputError, match=r"target 'V4' has 4 repeats.*'attainable'"):
        cv.score(source, target, ceiling="self")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({}, r"needs the label 'subject' along 'unit', and target 'V4' has none"),
        ({"subject": ("unit", ["ann"] * 12)}, "target 'V4' has one, ann: use 'split-half'"),
        ({"subject": ("stimulus", ["ann", "bob"] * 30)}, "'subject' along 'unit'.*has none"),
    ],
)
def test_inter_subject_needs_several_subjects(source, target, label, message):
    trials = labelled(target.data.values, "V4", **label)
    with pytest.raises(cv.InputError, match=message):
        cv.score(source, trials, ceiling="inter-subject")


def test_inter_subject_needs_several_subjects_that_can_be_scored(source, target):
    trials = target.data.copy()
    trials[:, trials["subject"] == "bob"] = 1.0
    with pytest.raises(cv.InputError, match="only ann has units that can be scored"):
        cv.score(source, cv.Assembly(trials), ceiling="inter-subject")


def test_unknown_ceilings(source, target):
    with pytest.raises(cv.InputError, match=r"no ceiling 'atainable'.*'attainable'"):
        cv.score(source, target, ceiling="atainable")


def test_ceilings_that_are_not_above_0_are_counted_and_said(source):
    values = np.random.default_rng(10).standard_normal((N, 6))  # nothing in common
    subjects = labelled(values, "V4", subject=("unit", list("aaabbb")))
    with pytest.warns(UserWarning, match=r"of 6 units of target 'V4', the ceiling is not") as said:
        scores = cv.score(source, subjects, ceiling="inter-subject")
    lost = scores["ceiling"].isnull().sum("unit")
    assert lost.sum() > 3
    counts = {m: int(k) for k, m in re.findall(r"(\d+) \(([\w-]+)\)", str(said[0].message))}
    assert counts == {m: k for m, k in zip(METRICS, lost.values, strict=True) if k}
    assert (scores["ceiling"].fillna(1) > 0).all()
    assert scores["r"].notnull().all()


def test_noise_alone_has_no_ceiling(source):
    noise = np.random.default_rng(11).standard_normal((N, 8, 4))
    noise -= 0.9 * noise.mean(2, keepdims=True)  # means that vary less than chance
    for ceiling in ("split-half", "repeat-variance", "attainable"):
        with pytest.warns(UserWarning, match="not above 0, or not known, in 8"):
            scores = cv.score(
                source, labelled(noise), "linear", ceiling=ceiling, min_reliability=-np.inf
            )
        assert scores["ceiling"].isnull().all()
        assert (scores["reliability"] < 0).all()
        scores = cv.score(source, labelled(noise), "linear", ceiling=ceiling)
        assert (scores["excluded"] == "reliability below 0.1").all()
        assert cv.summary(scores)["n_units"].item() == 0
