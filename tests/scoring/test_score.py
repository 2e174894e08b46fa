"""Scores against a plain program, what they must not depend on, and bad input."""

import json

import dask.array
import numpy as np
import pytest
import xarray as xr
from cases import image_names, labelled
from sklearn.model_selection import KFold

import convergent as cv
from convergent import Population

N = 60
NAMES = image_names(N)


@pytest.fixture(scope="module")
def pair():
    """A network and a recording of it, with trials."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 90))
    signal = x @ rng.standard_normal((90, 6)) / 9
    trials = signal[:, :, None] + rng.standard_normal((N, 6, 4))
    return labelled(x, "layer"), labelled(trials, "V4")


def test_every_fold_is_what_the_metric_gives_on_it(pair):
    source, target = pair
    scores = cv.score(source, target)
    x, y = source.data.values, np.mean(target.data.values, axis=2)
    for k, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(x)):
        folds = [Population(z).fold(train, test) for z in (x, y)]
        for name, metric in cv.METRICS.items():
            expected = metric().fit(*folds).score()
            found = scores.sel(metric=name, source="layer", fold=k)
            np.testing.assert_allclose(found["r"], expected.r, atol=1e-12)
            np.testing.assert_allclose(found["similarity"], expected.similarity, atol=1e-12)


def test_normalized_and_explained_variance_by_their_definitions(pair):
    scores = cv.score(*pair)
    c = cv.split_half(pair[1].data.values).full
    np.testing.assert_allclose(scores["reliability"], c, rtol=1e-12)
    for metric in cv.METRICS:
        np.testing.assert_allclose(scores["ceiling"].sel(metric=metric), np.sqrt(c), rtol=1e-12)
    r = scores["r"].values
    np.testing.assert_allclose(scores["normalized"], r / np.sqrt(c), rtol=1e-12)
    m = r.mean(2)
    np.testing.assert_allclose(scores["explained_variance"], np.sign(m) * m**2 / c, rtol=1e-12)


def test_summary_is_the_mean_over_folds_then_the_median_over_units(pair):
    scores = cv.score(*pair)
    table = cv.summary(scores).set_index("metric")
    for metric in cv.METRICS:
        r = scores["r"].sel(metric=metric, source="layer").values
        assert table.loc[metric, "r"] == pytest.approx(np.median(r.mean(0)), rel=1e-12)
    assert list(table["n_units"]) == [6, 6, 6]
    assert list(table["n_stimuli"]) == [N] * 3


def test_without_units_the_aggregate_is_the_same(pair):
    whole = cv.score(*pair)
    brief = cv.score(*pair, units=False)
    assert brief["r"].dims == ("metric", "source", "target")
    assert cv.summary(brief).equals(cv.summary(whole))


def test_order_of_stimuli_and_units_does_not_matter(pair):
    source, target = pair
    rng = np.random.default_rng(1)
    before = cv.score(source, target)
    after = cv.score(
        cv.Assembly(source.data.isel(stimulus=rng.permutation(N), unit=rng.permutation(90))),
        cv.Assembly(target.data.isel(stimulus=rng.permutation(N), unit=rng.permutation(6))),
    ).sel(unit=before["unit"])
    for name in ("r", "normalized", "similarity", "ceiling"):
        np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-9)


def test_mismatched_stimuli_destroy_the_score(pair):
    source, target = pair
    names = np.random.default_rng(2).permutation(NAMES)
    wrong = cv.Assembly(source.data.assign_coords(stimulus=names))
    right, chance = (
        cv.summary(cv.score(x, target)).set_index("metric")["r"] for x in (source, wrong)
    )
    assert (right[["linear", "procrustes"]] > 0.3).all()
    assert (chance.abs() < 0.25).all()
    assert (right > chance).all()


@pytest.mark.parametrize("side", ["source", "target"])
def test_what_lies_on_disk_gives_the_same(pair, side):
    source, target = pair
    expected = cv.score(source, target)
    lazy = {"source": source, "target": target}
    lazy[side] = cv.Assembly(lazy[side].data.chunk(unit=5))
    found = cv.score(lazy["source"], lazy["target"])
    np.testing.assert_allclose(found["r"], expected["r"], atol=1e-9)


def test_several_sources_and_targets(pair):
    source, target = pair
    half = cv.Assembly(source.data.isel(unit=slice(40)))
    regions = {"a": cv.Assembly(target.data.isel(unit=[0, 1])), "b": target}
    scores = cv.score({"whole": source, "half": half}, regions, "linear")
    assert scores["r"].sizes == {"metric": 1, "source": 2, "fold": 5, "unit": 8}
    assert scores["target"].values.tolist() == ["a"] * 2 + ["b"] * 6
    assert len(set(scores["unit"].values)) == 8  # named by target where names come twice
    alone = cv.score(half, target, "linear")
    b = scores.isel(unit=scores["target"].values == "b").sel(source="half")
    np.testing.assert_allclose(b["r"], alone["r"].isel(source=0), atol=1e-12)


def test_groups_stay_together(pair):
    source, target = pair
    photo = np.repeat(np.arange(20), 3).astype(str)
    grouped = cv.Assembly(target.data.assign_coords(photo=("stimulus", photo)))
    scores = cv.score(source, grouped, "linear", folds=cv.Folds(4, group="photo"))
    assert scores.sizes["fold"] == 4
    for train, test in cv.Folds(4, group="photo").split(N, photo):
        assert not set(photo[train]) & set(photo[test])
        assert len(train) + len(test) == N


def test_each_stimulus_is_tested_once():
    splits = cv.Folds(7, seed=3).split(50)
    np.testing.assert_array_equal(np.sort(np.concatenate([b for _, b in splits])), np.arange(50))
    assert all(not set(train) & set(test) for train, test in splits)


def test_attrs_hold_what_is_needed_to_do_it_again(pair):
    source, target = pair
    scores = cv.score(source, target, [cv.Linear((0.1, 1.0))], folds=cv.Folds(3, seed=4))
    made = json.loads(scores.attrs["provenance"])
    assert made["folds"] == {"n": 3, "seed": 4, "group": None, "order": None}
    assert made["metrics"] == {"linear": {"metric": "Linear", "penalties": [0.1, 1.0]}}
    assert made["sources"]["layer"]["sha256"] == source.fingerprint()
    assert made["targets"]["V4"]["sha256"] == target.fingerprint()
    assert made["versions"]["convergent"] == cv.__version__


def test_scores_can_be_saved(pair, tmp_path):
    scores = cv.score(*pair)
    scores.to_netcdf(tmp_path / "scores.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "scores.nc", engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), scores)


def test_metrics_by_value_and_by_name(pair):
    named = {"loose": cv.Linear((1e3,)), "strict": cv.Linear((1e-3,)), "matching": "soft-matching"}
    scores = cv.score(*pair, named)
    assert scores["metric"].values.tolist() == ["loose", "strict", "matching"]
    assert not np.allclose(scores["r"][0], scores["r"][1])


# Units that cannot be scored are counted, not dropped


def with_units(target, *columns):
    """The target with further units of one value each."""
    trials = target.data.values
    extra = np.concatenate([np.full((N, 1, 4), column) for column in columns], axis=1)
    return labelled(np.concatenate([trials, extra], axis=1), "V4")


def test_silent_and_unrecorded_units_are_counted(pair):
    source, target = pair
    scores = cv.score(source, with_units(target, 3.0, np.nan))
    assert scores["excluded"].values.tolist() == [""] * 6 + ["constant", "not recorded"]
    assert np.isnan(scores["r"].values[..., 6:]).all()
    table, alone = cv.summary(scores), cv.summary(cv.score(source, target))
    assert (table["n_units_excluded"] == 2).all()
    np.testing.assert_allclose(table["r"], alone["r"], atol=1e-12)


def test_units_not_recorded_throughout_are_counted_with_a_warning(pair):
    source, target = pair
    trials = target.data.values.copy()
    trials[5, 2] = np.nan
    with pytest.warns(UserWarning, match=r"1 of 6 units of target 'V4'.*not recorded for all 60"):
        scores = cv.score(source, labelled(trials, "V4"))
    assert scores["excluded"].values[2] == "not recorded for all stimuli"
    assert cv.summary(scores)["n_units_excluded"].tolist() == [1] * 3


def test_missing_repeats_are_no_reason_to_leave_a_unit_out(pair):
    source, target = pair
    trials = target.data.values.copy()
    trials[::2, :, 3] = np.nan
    scores = cv.score(source, labelled(trials, "V4"))
    assert (scores["excluded"] == "").all()
    mean = labelled(np.nanmean(trials, axis=2), "V4")
    np.testing.assert_allclose(scores["r"], cv.score(source, mean, ceiling=None)["r"], atol=1e-12)


def test_unreliable_units_are_left_out_of_the_aggregate_but_scored(pair):
    source, target = pair
    noise = np.random.default_rng(5).standard_normal((N, 3, 4))
    scores = cv.score(source, labelled(np.concatenate([target.data.values, noise], axis=1)))
    low = scores["reliability"].values < 0.1
    assert low[6:].any()
    assert not low[:6].any()
    np.testing.assert_array_equal(scores["excluded"].values == "reliability below 0.1", low)
    assert np.isfinite(scores["r"].values).all()
    assert cv.summary(scores)["n_units_excluded"].tolist() == [low.sum()] * 3
    all_in = cv.score(source, target, min_reliability=-np.inf)
    assert (all_in["excluded"] == "").all()


def test_a_unit_silent_in_a_test_fold_is_scored_on_the_others(pair):
    source, target = pair
    y = target.data.values.mean(2)
    (_, test), *_ = KFold(5, shuffle=True, random_state=0).split(y)
    y[test, 0] = 1.5
    scores = cv.score(source, labelled(y, "V4"), ceiling=None)
    missing = np.isnan(scores["r"].values)
    assert missing[..., 0, 0].all()
    assert missing.sum() == 3
    assert np.isfinite(cv.summary(scores)["r"]).all()


def test_a_constant_unit_is_seen_through_rounding_and_unequal_repeats(pair):
    source, target = pair
    for dtype in ("float32", "float64"):
        trials = np.concatenate([target.data.values, np.full((N, 1, 4), 0.1)], axis=1).astype(dtype)
        rng = np.random.default_rng(6)
        trials[np.arange(4) >= rng.integers(2, 5, (N, 1, 1)) + np.zeros((1, 7, 1))] = np.nan
        assert cv.score(source, labelled(trials))["excluded"].values.tolist() == [""] * 6 + [
            "constant"
        ]


def test_sparse_units_that_tie_do_not_make_the_order_of_units_matter():
    rng = np.random.default_rng(7)
    x, y = (np.maximum(rng.standard_normal((N, 40)) - cut, 0) for cut in (1.9, 1.0))
    before = cv.score(labelled(x), labelled(y), "soft-matching", ceiling=None)
    turned = [cv.Assembly(labelled(z).data.isel(unit=rng.permutation(40))) for z in (x, y)]
    after = cv.score(*turned, "soft-matching", ceiling=None).sel(unit=before["unit"])
    np.testing.assert_allclose(after["r"], before["r"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("p", [47, 48, 49, 60, 61, 90])  # about the stimuli of a fold, and of all
def test_a_large_shift_is_ignored(p):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((N, p))
    y = x + rng.standard_normal((N, p))
    before, after = (
        cv.score(labelled(x + shift), labelled(y + shift), ceiling=None)["r"] for shift in (0, 1e5)
    )
    np.testing.assert_allclose(after, before, atol=1e-4)


# Bad input


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"n": 1}, "from 2 up"), ({"n": 2.5}, "whole number"), ({"seed": -1}, "from 0 to 4294967295")],
)
def test_folds_are_whole_numbers(setting, message):
    with pytest.raises(cv.InputError, match=message):
        cv.Folds(**setting)


def test_groups_may_differ_a_little_but_no_fold_may_be_tiny():
    sessions = np.repeat(list("abcde"), [20, 20, 20, 20, 21])
    assert len(cv.Folds(5, group="session").split(101, sessions)) == 5
    photos = np.repeat([f"{i:02d}" for i in range(11)], [8] * 8 + [1] * 3)
    with pytest.raises(cv.InputError, match="has 2 test stimuli"):
        cv.Folds(6, seed=1, group="photo").split(67, photos)


def test_a_source_must_be_complete(pair):
    x = pair[0].data.values.copy()
    x[3, 7] = np.nan
    with pytest.raises(cv.InputError, match="source 'layer' has NaN in 1 of 90 units"):
        cv.score(labelled(x, "layer"), pair[1])


def test_no_shared_stimuli(pair):
    other = cv.Assembly(pair[0].data.assign_coords(stimulus=[f"im_{i}" for i in range(N)]))
    with pytest.raises(cv.InputError, match="share 0 of 60 stimuli"):
        cv.score(other, pair[1])


def test_partly_shared_stimuli_are_used_with_a_warning(pair):
    source, target = pair
    part = cv.Assembly(source.data.isel(stimulus=slice(50)))
    with pytest.warns(UserWarning, match="share 50 of 60 stimuli"):
        scores = cv.score(part, target, "linear")
    assert scores.attrs["n_stimuli"] == 50


def test_a_ceiling_needs_repeats(pair):
    source, target = pair
    with pytest.raises(cv.InputError, match=r"target 'V4' has one.*ceiling=None"):
        cv.score(source, target.average())
    scores = cv.score(source, target.average(), ceiling=None)
    assert np.isnan(scores["normalized"]).all()
    assert np.isfinite(cv.summary(scores)["r"]).all()


@pytest.mark.parametrize("n", [21, 100])
def test_too_few_stimuli_for_the_folds(pair, n):
    with pytest.raises(cv.InputError, match=f"60 stimuli cannot be split in {n} folds"):
        cv.score(*pair, folds=cv.Folds(n))


def test_a_group_larger_than_a_fold(pair):
    source, target = pair
    kind = np.array(["animal"] * 40 + list("abcdefghijklmnopqrst"))
    grouped = cv.Assembly(target.data.assign_coords(kind=("stimulus", kind)))
    with pytest.raises(cv.InputError, match="largest 'animal' with 40 of 60 stimuli"):
        cv.score(source, grouped, folds=cv.Folds(5, group="kind"))
    with pytest.raises(
        cv.InputError, match=r"there is no coordinate along 'stimulus' 'kin'.*'kind'"
    ):
        cv.score(source, grouped, folds=cv.Folds(5, group="kin"))


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("procrustean", "there is no metric 'procrustean'.*'procrustes'"),
        ([], "give at least one"),
        ({}, "give at least one"),
        (["linear", cv.Linear()], "each name once"),
        (cv.Linear, "is no metric"),
        (3, "is no metric"),
    ],
)
def test_unknown_metrics(pair, metrics, message):
    with pytest.raises(cv.InputError, match=message):
        cv.score(*pair, metrics)


def test_other_bad_input(pair):
    source, target = pair
    with pytest.raises(cv.InputError, match=r"there is no ceiling 'splithalf'.*'split-half'"):
        cv.score(source, target, ceiling="splithalf")
    with pytest.raises(cv.InputError, match=r"there is no ceiling 0\.9"):
        cv.score(source, target, ceiling=0.9)
    with pytest.raises(cv.InputError, match="folds is 5: give Folds"):
        cv.score(source, target, folds=5)
    with pytest.raises(cv.InputError, match="source is a ndarray"):
        cv.score(source.data.values, target)
    with pytest.raises(cv.InputError, match="source 'source' is a ndarray"):
        cv.score({"source": source.data.values}, target)
    with pytest.raises(cv.InputError, match="torch cannot use the device 'nowhere'"):
        cv.score(source, target, device="nowhere")
    with pytest.raises(cv.InputError, match="target is empty"):
        cv.score(source, {})
    with pytest.raises(cv.InputError, match=r"no unit that can be scored: .*constant"):
        cv.score(source, labelled(np.ones((N, 2, 3))))
    binned = labelled(target.data.values).data.rename(repeat="time")
    with pytest.raises(cv.InputError, match="4 time bins"):
        cv.score(source, cv.Assembly(binned))


def on_disk(values, name):
    return labelled(dask.array.from_array(values, chunks=(20, 3, *values.shape[2:])), name)


@pytest.mark.parametrize("side", ["source", "target", "trials"])
def test_infinite_values_on_disk_are_the_error_of_values_in_memory(pair, side):
    layer, recording = pair
    values = recording.data.values.astype(np.float32)
    if side == "trials":
        values[7, 2, 1], values[7, 2, 3] = np.inf, -np.inf  # their mean is NaN
    else:
        values = values.mean(-1)
        values[7, 2:6] = np.inf
    with pytest.raises(cv.InputError) as in_memory:
        labelled(values, "V4")
    sides = layer, on_disk(values, "V4")
    with pytest.raises(cv.InputError) as found:
        cv.score(*(sides[::-1] if side == "source" else sides), "linear", ceiling=None)
    where = "stimulus image00007.png, unit unit2: correct them"
    assert where in str(in_memory.value)
    assert where in str(found.value)


def test_large_values_of_few_digits_are_complete(pair):
    """Their sum over stimuli is above the largest number of half precision."""
    large = labelled((2000 + 300 * pair[0].data.values).astype(np.float16), "layer")
    assert np.isfinite(cv.score(large, pair[1], "linear", ceiling=None)["r"]).all()


# Targets with partly other stimuli


@pytest.fixture(scope="module")
def subjects():
    """A layer of 70 stimuli, and three subjects who saw 50, 50 and 40 of them, 30 of them all."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((70, 6))
    names = image_names(70)
    shown = {"A": np.r_[:50], "B": np.r_[:30, 50:70], "C": np.r_[:30, 40:50]}
    targets = {
        name: labelled(
            x[rows][:, :4, None] + rng.standard_normal((len(rows), 4, 3)),
            stimuli=[names[row] for row in rows],
        )
        for name, rows in shown.items()
    }
    return {"layer": labelled(x)}, targets


@pytest.mark.filterwarnings("ignore:layer .70 stimuli. and")
def test_each_target_is_scored_with_its_own_stimuli(subjects):
    source, targets = subjects
    settings = {
        "metrics": ["linear", "procrustes"],
        "folds": cv.Folds(3),
        "bootstrap": cv.Bootstrap(20, refits=2),
        "shuffle": cv.Shuffle(3),
    }
    together = cv.score(source, targets, **settings)
    for name, target in targets.items():
        alone = cv.score(source, {name: target}, **settings)
        part = together.isel(unit=together["target"].values == name)
        for variable in ("r", "ceiling", "normalized", "reliability", "r_draws", "ceiling_draws"):
            np.testing.assert_array_equal(part[variable], alone[variable])
        for variable in ("similarity", "r_shuffled", "n_drawn"):
            np.testing.assert_array_equal(
                together[variable].sel(target_population=[name]), alone[variable]
            )
    counts = {name: len(target.stimuli) for name, target in targets.items()}
    assert together["n_drawn"].sel(factor="stimuli").values.tolist() == list(counts.values())
    assert together.attrs["n_stimuli"] == "40 to 50"
    table = cv.summary(together)
    assert dict(zip(table["target"], table["n_stimuli"], strict=True)) == counts
    aggregated = cv.score(source, targets, units=False, metrics="linear", folds=cv.Folds(3))
    table = cv.summary(aggregated)
    assert dict(zip(table["target"], table["n_stimuli"], strict=True)) == counts
    hashes = json.loads(together.attrs["provenance"])
    assert len(hashes["sources"]["layer"]["sha256"].split()) == 3
    assert hashes["targets"]["A"]["sha256"] == targets["A"].fingerprint()


def test_warnings_name_the_targets(subjects):
    source, targets = subjects
    with pytest.warns(UserWarning, match="share") as caught:
        cv.score(source, targets, "linear", folds=cv.Folds(3))
    messages = [str(one.message) for one in caught]
    assert len(messages) == 3
    for message, (name, n) in zip(messages, (("A", 50), ("B", 50), ("C", 40)), strict=True):
        start = f"layer (70 stimuli) and {name} ({n} stimuli) share {n} of 70 stimuli; left out are"
        assert message.startswith(start)


def test_targets_with_the_same_stimuli_are_scored_together(subjects):
    _, targets = subjects
    a = targets["A"]
    pair = {"a": a, "b": cv.Assembly(a.data.isel(stimulus=slice(None, None, -1)))}
    scores = cv.score(a.average(), pair, "linear", folds=cv.Folds(3))
    assert scores.attrs["n_stimuli"] == 50
    assert "n_stimuli" not in scores.coords
    assert len(json.loads(scores.attrs["provenance"])["sources"]["source"]["sha256"]) == 64


def test_a_target_without_shared_stimuli_is_named_with_one_of_its_own(subjects):
    source, _ = subjects
    digits = labelled(np.eye(50), stimuli=[str(i) for i in range(50)])
    message = (
        r"layer \(70 stimuli\) and other \(50 stimuli\) share 0 of 70 stimuli "
        r"\('image00000.png', 'image00001.png' and 68 more against '0', '1' and 48 more\)"
    )
    with pytest.raises(cv.InputError, match=message):
        cv.score(source, {"A": source["layer"], "other": digits}, "linear", ceiling=None)
    two = {"one": digits, "same": digits, "layer": source["layer"]}
    message = r"one and 1 more \(50 stimuli\) and layer \(70.*\('0', '1' .* against 'image00000"
    with pytest.raises(cv.InputError, match=message):
        cv.align(*(cv.Assembly(a.data.rename(name)) for name, a in two.items()))
