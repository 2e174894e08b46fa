"""Tables of scores: intervals, differences, the best, and controls, each done by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import labelled
from scipy import stats

import convergent as cv
from convergent.scoring.tables import shared_resamples
from convergent.statistics.inference import (
    holm,
    p_permutation,
    spread,
)

N, FOLDS = 60, 5
LABELS = ["metric", "source", "target"]
METRICS = ["procrustes", "soft-matching"]
ENDS = ("", "_low", "_high")
INTERVALS = ["r_low", "r_high", "normalized_low", "normalized_high"]


@pytest.fixture(scope="module")
def sides():
    """Three layers, the last of noise, and two regions with trials, of two subjects each."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 25))
    early = x + 0.5 * rng.standard_normal((N, 25))
    layers = {"early": early, "late": x, "noise": rng.standard_normal((N, 25))}
    regions = {}
    for name, units in (("V4", 8), ("IT", 6)):
        signal = x[:, :units] + 0.5 * rng.standard_normal((N, units))
        trials = signal[:, :, None] + rng.standard_normal((N, units, 4))
        whose = ["ann"] * (units // 2) + ["bob"] * (units // 2)
        regions[name] = labelled(trials, name, subject=("unit", whose))
    return {name: labelled(values, name) for name, values in layers.items()}, regions


OVER = {
    "stimuli": ("stimuli",),
    "units": ("units",),
    "both": ("stimuli", "units"),
    "subjects": ("stimuli", "subjects"),
}


@pytest.fixture(scope="module")
def scored(sides):
    """Scores by what is random."""
    shuffles = {"stimuli": cv.Shuffle(9)}
    return {
        name: cv.score(
            *sides, METRICS, bootstrap=cv.Bootstrap(40, over, refits=8), shuffle=shuffles.get(name)
        )
        for name, over in OVER.items()
    }


def units_of(scores, labels):
    """The units of a target that count, of one source by one metric."""
    metric, source, target = labels
    part = scores.sel(metric=metric, source=source)
    return part.isel(unit=(part["target"] == target).values & (part["excluded"] == "").values)


def median_of(values, counts=None):
    """Median over units, each as often as it is drawn."""
    if counts is None:
        return np.nanmedian(values, axis=-1)
    values = np.broadcast_to(values, counts.shape)
    drawn = (np.repeat(*row) for row in zip(values, counts, strict=True))
    return np.array([np.median(some) if len(some) else np.nan for some in drawn])


def effective_of(scores, *several):
    """Least effective number of stimuli of the targets of these labels; NaN if none is drawn."""
    if "n_effective" not in scores:
        return np.nan
    return float(scores["n_effective"].sel(target_population=[x[2] for x in several]).min())


def aggregates_by_hand(scores, labels, value):
    """The aggregate, and the same in resamples by what was drawn."""
    part = units_of(scores, labels)
    found = part["r"].mean("fold").values
    weight, ceiling = part["weight"].values, part["expected_ceiling"].values

    def aggregate(r, counts=None, moved=ceiling):
        if value == "r":
            return median_of(r, counts)
        drawn = weight if counts is None else weight * counts
        return (drawn * r).sum(-1), (drawn * moved).sum(-1), (drawn * ceiling).sum(-1)

    resampled = {}
    counts = part["unit_draws"].values if "unit_draws" in part else None
    name = str(part["factor"].values[-1])
    if "r_draws" in part:
        moved = part["expected_ceiling_draws"].values
        for factor, draws in (("stimuli", part["r_draws"]), ("refit", part["r_refits"])):
            k = len(draws)
            resampled[factor,] = aggregate(draws.values, None, moved[:k])
    if counts is not None:
        for chosen, times in ((name, counts), ("rest", (counts == 0).astype(int))):
            resampled[chosen,] = aggregate(found, times)
            if "r_draws" in part:
                for factor, draws in (("stimuli", part["r_draws"]), ("refit", part["r_refits"])):
                    k = len(draws)
                    resampled[factor, chosen] = aggregate(draws.values, times[:k], moved[:k])
    estimate = aggregate(found)
    if value == "normalized":  # the ratio, and what it is to first order
        estimate = estimate[0] / estimate[1]
        with np.errstate(invalid="ignore"):  # of no unit
            resampled = {k: estimate + (a - estimate * b) / c for k, (a, b, c) in resampled.items()}
    return estimate, resampled


def spread_of(resampled, n_units, effective, share="score"):
    """Spread of an estimate, from its values in resamples."""
    drawn = {"stimuli": N, "units": n_units, "subjects": 2, "effective": effective}
    return spread(resampled, drawn, FOLDS, share)


# Summary


@pytest.mark.parametrize("kind", OVER)
def test_intervals_are_those_of_the_aggregates(scored, kind):
    scores = scored[kind]
    table = cv.summary(scores)
    assert len(table) == 2 * 3 * 2
    for row in table.to_dict("records"):
        for value in ("r", "normalized"):
            labels = [row[dim] for dim in LABELS]
            estimate, resampled = aggregates_by_hand(scores, labels, value)
            n_units = len(units_of(scores, labels)["unit"])
            kind_of = "ratio" if value == "normalized" else "score"
            found = spread_of(resampled, n_units, effective_of(scores, labels), kind_of)
            assert row[value] == pytest.approx(estimate, rel=1e-9)
            interval = row[f"{value}_low"], row[f"{value}_high"]
            assert interval == pytest.approx(found.interval(estimate, 0.95), abs=1e-6)


@pytest.mark.parametrize("kind", OVER)
def test_intervals_of_ceilings(scored, kind):
    names = ("weight", "expected_ceiling", "expected_ceiling_draws", "unit_draws", "n_drawn")
    scores = scored[kind]
    part = scores[[name for name in names if name in scores]]
    part = part.assign(r=scores["ceiling"].expand_dims("fold"))  # as if it were a score
    if "ceiling_draws" in scores:
        drawn = scores["ceiling_draws"]
        part = part.assign(r_draws=drawn, r_refits=drawn.rename(draw="refit"))
    part = part.expand_dims(source=["early"])
    row = cv.summary(scores).iloc[0]
    labels = [row[dim] for dim in LABELS]
    estimate, resampled = aggregates_by_hand(part, labels, "r")
    n_units = len(units_of(part, labels)["unit"])
    found = spread_of(resampled, n_units, effective_of(scores, labels))
    assert row["ceiling"] == pytest.approx(estimate)
    interval = row["ceiling_low"], row["ceiling_high"]
    assert interval == pytest.approx(found.interval(estimate, 0.95), abs=1e-6)


def test_intervals_are_students(scored):
    scores = scored["units"]
    narrow, wide = (cv.summary(scores, level=level) for level in (0.8, 0.95))
    for table, level in ((narrow, 0.8), (wide, 0.95)):
        np.testing.assert_allclose(table["r_high"] - table["r"], table["r"] - table["r_low"])
        degrees = np.where(table["target"] == "V4", 7, 5)
        error = (wide["r_high"] - wide["r"]) / stats.t.ppf(0.975, degrees)
        half = stats.t.ppf((1 + level) / 2, degrees) * error
        np.testing.assert_allclose(table["r_high"] - table["r"], half)


def test_more_that_is_random_is_less_that_is_sure(scored):
    width = {}
    for kind in OVER:
        table = cv.summary(scored[kind])
        width[kind] = np.median(table["r_high"] - table["r_low"])
    assert width["both"] > max(width["stimuli"], width["units"])


def test_p_of_the_shuffle_counts_shuffles_that_score_as_high(scored):
    scores = scored["stimuli"]
    null = scores["r_shuffled"]
    assert null.sizes["shuffle"] == 9
    for row in cv.summary(scores).to_dict("records"):
        metric, source, target = (row[dim] for dim in LABELS)
        values = null.sel(metric=metric, source=source, target_population=target).values
        assert row["p_shuffle"] == (1 + np.sum(values >= row["r"])) / 10
    table = cv.summary(scores).set_index("source")["p_shuffle"]
    assert (table["late"] == 0.1).all()
    assert table["noise"].max() > 0.1


def test_there_are_no_columns_that_were_not_asked_for(sides):
    table = cv.summary(cv.score(*sides, "linear"))
    assert not {*INTERVALS, "p_shuffle"} & set(table)


def test_without_a_ceiling_there_are_intervals_of_r_alone(sides):
    for over in OVER.values():
        scores = cv.score(
            *sides, "linear", ceiling=None, bootstrap=cv.Bootstrap(20, over, refits=6)
        )
        table = cv.summary(scores)
        assert (table["r_low"] < table["r_high"]).all()
        unknown = [f"{name}{end}" for name in ("normalized", "ceiling") for end in ENDS]
        assert table[unknown].isna().all(axis=None)
        assert cv.differences(scores)["p"].notna().all()
        assert cv.best(scores)["p"].notna().all()
        assert cv.differences(scores, value="normalized")["difference"].isna().all()


def test_tables_are_the_same_after_saving(scored, tmp_path):
    scores = scored["both"]
    scores.to_netcdf(tmp_path / "scores.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "scores.nc", engine="h5netcdf") as file:
        back = file.load()
    xr.testing.assert_identical(back, scores)
    for table in (cv.summary, cv.best, cv.differences, lambda s: cv.against(s, [s])):
        pd.testing.assert_frame_equal(table(back), table(scores))


def test_the_order_of_dimensions_does_not_matter(scored):
    scores = scored["both"]
    turned = scores.transpose(*reversed(list(scores.dims)))
    for table in (cv.summary, cv.best):
        pd.testing.assert_frame_equal(table(turned), table(scores))


def test_the_order_of_stimuli_and_units_does_not_matter(sides, scored):
    rng = np.random.default_rng(3)
    mixed = [
        {
            name: cv.Assembly(
                side.data.isel(
                    stimulus=rng.permutation(N), unit=rng.permutation(side.data.sizes["unit"])
                )
            )
            for name, side in several.items()
        }
        for several in sides
    ]
    again = cv.score(*mixed, METRICS, bootstrap=cv.Bootstrap(40, OVER["both"], refits=8))
    for table in (cv.summary, cv.differences):
        before, after = (
            table(scores).select_dtypes("number") for scores in (scored["both"], again)
        )
        np.testing.assert_allclose(after, before, atol=1e-5)


# Differences


@pytest.mark.parametrize("value", ["r", "normalized"])
@pytest.mark.parametrize("kind", OVER)
def test_differences_are_those_of_the_aggregates(scored, kind, value):
    scores = scored[kind]
    for between in ("source", "metric"):
        table = cv.differences(scores, between, value=value)
        assert list(table)[2:] == [
            *("first", "second", "difference", "low", "high", "p", "p_corrected")
        ]
        assert len(table) == (2 * 2 * 3 if between == "source" else 3 * 2)
        for row in table.iloc[::3].to_dict("records"):
            labels = [
                [row[which] if dim == between else row[dim] for dim in LABELS]
                for which in ("first", "second")
            ]
            (a, of_a), (b, of_b) = (aggregates_by_hand(scores, one, value) for one in labels)
            assert row["difference"] == pytest.approx(a - b, abs=1e-9)
            resampled = {factors: of_a[factors] - of_b[factors] for factors in of_a}
            n_units = len(units_of(scores, labels[0])["unit"])
            kind_of = "score" if value == "normalized" else "difference"
            found = spread_of(resampled, n_units, effective_of(scores, *labels), kind_of)
            interval = found.interval(a - b, 0.95)
            assert (row["low"], row["high"]) == pytest.approx(interval, abs=1e-6)
            assert row["p"] == pytest.approx(found.p(a - b), abs=1e-5)


@pytest.mark.parametrize("kind", OVER)
def test_targets_differ_by_their_medians(scored, kind):
    scores = scored[kind]
    table = cv.differences(scores, "target", level=0.9)
    assert len(table) == 6
    for row in table.to_dict("records"):
        (a, of_a), (b, of_b) = (
            aggregates_by_hand(scores, (row["metric"], row["source"], name), "r")
            for name in (row["first"], row["second"])
        )
        assert row["difference"] == pytest.approx(a - b, abs=1e-9)
        if kind == "stimuli":
            draws = {factors: of_a[factors] - of_b[factors] for factors in of_a}
            effective = float(scores["n_effective"].min())
            found = spread(draws, {"stimuli": N, "effective": effective}, FOLDS)
            interval = found.interval(row["difference"], 0.9)
            assert (row["low"], row["high"]) == pytest.approx(interval, abs=1e-6)
    if kind == "units":  # drawn apart
        a, b = (table_of(scores, name) for name in ("V4", "IT"))
        apart = np.hypot(a / stats.t.ppf(0.975, 7), b / stats.t.ppf(0.975, 5))
        found = (table["high"] - table["low"]) / 2 / stats.t.ppf(0.95, 5)
        np.testing.assert_allclose(found, apart, rtol=0.4)


def table_of(scores, target):
    """Half widths of the intervals of one target."""
    table = cv.summary(scores)
    table = table[table["target"] == target]
    return (table["r_high"] - table["r_low"]).to_numpy() / 2


def test_a_pair_the_other_way_round_has_the_opposite_difference(scored):
    scores = scored["both"]
    mirrored = scores.sel(source=["noise", "late", "early"])
    key = ["metric", "target", "first", "second"]
    there = cv.differences(scores).set_index(key)
    back = cv.differences(mirrored).set_index(key)
    back.index = back.index.rename(["metric", "target", "second", "first"]).reorder_levels(key)
    back = back.loc[there.index]
    np.testing.assert_allclose(there["difference"], -back["difference"], rtol=1e-12)
    np.testing.assert_allclose(there["low"], -back["high"], atol=1e-7)
    np.testing.assert_allclose(there["p"], back["p"], atol=1e-7)


def test_p_is_corrected_within_each_metric_and_target(scored):
    table = cv.differences(scored["stimuli"])
    assert table.groupby(["metric", "target"]).size().tolist() == [3] * 4
    for _, group in table.groupby(["metric", "target"]):
        np.testing.assert_allclose(group["p_corrected"], holm(group["p"].to_numpy()))


def test_all_are_compared_with_a_reference(scored):
    scores = scored["stimuli"]
    table = cv.differences(scores, reference="noise")
    assert set(table["second"]) == {"noise"}
    assert list(table["first"]) == ["early", "late"] * 4
    every = cv.differences(scores)
    every = every[every["second"] == "noise"]
    np.testing.assert_array_equal(table[["difference", "p"]], every[["difference", "p"]])
    assert (table["p_corrected"] <= every["p_corrected"].to_numpy()).all()  # of fewer pairs


@pytest.mark.parametrize("kind", ["stimuli", "units", "both"])
def test_what_is_the_same_does_not_differ(sides, kind):
    late, target = sides[0]["late"], sides[1]["V4"]
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((25, 25)))[0]
    rotated = labelled(late.data.values @ rotation)
    copies = {"one": late, "copy": late, "rotated": rotated}
    bootstrap = cv.Bootstrap(30, OVER[kind], refits=8)
    scores = cv.score(copies, target, ["linear", "procrustes"], bootstrap=bootstrap)
    table = cv.differences(scores)
    same = table[(table["first"] == "one") & (table["second"] == "copy")]
    np.testing.assert_array_equal(same[["difference", "low", "high"]], 0)
    np.testing.assert_array_equal(same[["p", "p_corrected"]], 1)
    np.testing.assert_allclose(table["difference"], 0, atol=1e-9)
    assert (table["p"] > 0.5).all()  # rounding is no evidence
    ranked = cv.best(scores)
    np.testing.assert_array_equal(ranked["p"], 1)
    assert ranked["among_best"].all()


def test_pairing_cancels_what_two_sources_have_in_common(scored):
    scores = scored["both"]
    alone = cv.summary(scores)
    width = np.median((alone["r_high"] - alone["r_low"])[alone["source"] != "noise"])
    table = cv.differences(scores)
    pair = table[(table["first"] == "early") & (table["second"] == "late")]
    assert np.median(pair["high"] - pair["low"]) < 0.8 * width * np.sqrt(2)


def test_clear_differences_are_found_and_others_not(scored):
    for kind in ("stimuli", "both"):
        table = cv.differences(scored[kind]).query("metric != 'soft-matching'")
        to_noise = table["second"] == "noise"
        assert (table["p_corrected"][to_noise] < 0.05).all()
        assert (table["difference"][to_noise] > 0.2).all()
        assert (table["low"][to_noise] > 0).all()


# The best


def test_the_best_is_separated_from_the_rest(scored):
    for kind in ("stimuli", "both"):
        table = cv.best(scored[kind]).query("metric != 'soft-matching'")
        by_source = table.groupby("source")["among_best"]
        assert by_source.all()["late"]
        assert not by_source.any()["noise"]


@pytest.mark.parametrize("value", ["r", "normalized"])
def test_how_far_each_is_behind_the_greatest_score(scored, value):
    scores = scored["both"]
    table = cv.best(scores, value=value)
    assert list(table) == ["metric", "source", "target", value, "behind", "p", "among_best"]
    np.testing.assert_array_equal(table["among_best"], table["p"] > 0.05)
    summary = cv.summary(scores).set_index(LABELS)[value]
    pairs = cv.differences(scores, value=value).set_index([*LABELS[::2], "first", "second"])
    for (metric, target), group in table.groupby(["metric", "target"]):
        by_source = group.set_index("source")
        for source, row in by_source.iterrows():
            assert row[value] == pytest.approx(summary[metric, source, target])
        top = by_source[value].idxmax()
        assert by_source["behind"][top] == 0
        for other in by_source.index.drop(top):
            key = (metric, target, top, other)
            sign = 1 if key in pairs.index else -1
            key = key if sign == 1 else (metric, target, other, top)
            expected = sign * pairs["difference"][key]
            assert by_source["behind"][other] == pytest.approx(expected, abs=1e-9)


def test_a_lower_level_keeps_fewer(scored):
    strict, loose = (cv.best(scored["stimuli"], level=level) for level in (0.5, 0.99))
    np.testing.assert_array_equal(strict["p"], loose["p"])
    np.testing.assert_array_equal(strict["among_best"], strict["p"] > 0.5)
    assert strict["among_best"].sum() < loose["among_best"].sum()


def test_a_source_alone_is_the_best_and_has_no_differences(sides):
    sources, targets = sides
    scores = cv.score(sources["late"], targets, "linear", bootstrap=cv.Bootstrap(10, refits=3))
    assert cv.best(scores)["among_best"].all()
    assert len(cv.differences(scores)) == 0


# Controls


def test_scores_are_held_against_controls(sides):
    sources, targets = sides
    scores = cv.score(sources, targets, "linear")
    rng = np.random.default_rng(2)
    controls = [
        cv.score(
            {name: labelled(rng.standard_normal((N, 25))) for name in sources}, targets, "linear"
        )
        for _ in range(3)
    ]
    table = cv.against(scores, controls)
    null = np.stack([cv.summary(control)["r"] for control in controls])
    r = cv.summary(scores)["r"]
    np.testing.assert_array_equal(table["r"], r)
    np.testing.assert_allclose(table["control_mean"], null.mean(0))
    np.testing.assert_allclose(table["control_sd"], null.std(0, ddof=1))
    np.testing.assert_allclose(table["z"], (r - null.mean(0)) / null.std(0, ddof=1))
    np.testing.assert_allclose(table["p"], (1 + (null >= r.to_numpy()).sum(0)) / 4)
    expected = [p_permutation(one, many) for one, many in zip(r, null.T, strict=True)]
    np.testing.assert_allclose(table["p"], expected)
    assert (table["n_controls"] == 3).all()
    assert (table.set_index("source")["p"]["late"] == 1 / 4).all()


def test_one_control_has_no_spread(sides):
    scores = cv.score(*sides, "linear", units=False)
    table = cv.against(scores, [scores])
    assert table[["control_sd", "z"]].isna().all(axis=None)
    np.testing.assert_array_equal(table["p"], 1)


def test_copies_among_controls_are_reported(sides):
    scores = cv.score(*sides, "linear", units=False)
    with pytest.warns(UserWarning, match=r"of 3 controls only 1 differ"):
        table = cv.against(scores, [scores] * 3)
    assert (table["control_sd"] == 0).all()
    assert table["z"].isna().all()


def test_controls_must_be_there_for_every_score(sides):
    sources, targets = sides
    scores = cv.score(sources, targets, "linear")
    with pytest.raises(cv.InputError, match="there is no control"):
        cv.against(scores, [])
    part = cv.score({"early": sources["early"]}, targets, "linear")
    message = r"control 1 has no score of .*'source': 'late'.*name its sources and targets alike"
    with pytest.raises(cv.InputError, match=message):
        cv.against(scores, [scores, part])
    assert len(cv.against(part, [scores])) == 2  # controls may have more


# Bad input


def test_scores_without_resamples(sides):
    for scores in (cv.score(*sides, "linear"), cv.score(*sides, "linear", units=False)):
        for table in (cv.differences, cv.best):
            with pytest.raises(cv.InputError, match=r"hold no resamples.*bootstrap=Bootstrap"):
                table(scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"between": "sources"}, "no label to compare between 'sources': did you mean 'source'"),
        ({"value": "explained_variance"}, "no value 'explained_variance'"),
        ({"reference": "lat"}, "no source 'lat': did you mean.*'late'"),
        ({"between": "target", "reference": "late"}, "no target 'late'"),
    ],
)
def test_unknown_labels(scored, options, message):
    with pytest.raises(cv.InputError, match=message):
        cv.differences(scored["stimuli"], **options)


def test_unknown_values(scored):
    with pytest.raises(cv.InputError, match="no value 'similarity'"):
        cv.best(scored["stimuli"], value="similarity")


def test_tables_that_share_resamples_are_the_same(scored):
    scores = scored["both"]
    alone = [cv.summary(scores), cv.best(scores), cv.differences(scores)]
    with shared_resamples():
        together = [cv.summary(scores), cv.best(scores), cv.differences(scores)]
        other = cv.summary(scores.isel(source=[0]))
    for one, two in zip(alone, together, strict=True):
        pd.testing.assert_frame_equal(one, two)
    first = alone[0]["source"] == alone[0]["source"].iloc[0]
    pd.testing.assert_frame_equal(other, alone[0][first].reset_index(drop=True))
