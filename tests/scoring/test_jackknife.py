"""Intervals over networks hold the truth as often as they say."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from convergent import InputError
from convergent.experiments.kapoor2025.plan import FULL, REDUCED, Plan
from convergent.scoring.jackknife import over_networks, ratio_over_networks


def pairs(values, plan=FULL):
    """A dataset along the pairs of a plan, from a function of group and seeds."""
    runs = plan.runs
    seeds = [[runs[run][1] for run in pair] for pair in plan.pairs]
    groups = list(plan.pairs.values())
    found = [values(group, *of_pair) for group, of_pair in zip(groups, seeds, strict=True)]
    return xr.Dataset(
        {"r": ("pair", np.array(found, dtype=float))},
        coords={
            "group": ("pair", groups),
            "source_seed": ("pair", [s for s, _ in seeds]),
            "target_seed": ("pair", [t for _, t in seeds]),
        },
    )


def mean(data):
    return data["r"].mean("group")


def test_pairs_are_all_seeds_of_an_architecture_and_the_same_seeds_of_two():
    groups = list(FULL.pairs.values())
    assert [groups.count(group) for group in dict.fromkeys(groups)] == [6, 6, 4]
    assert ("small-plain-2", "small-residual-2") in FULL.pairs
    assert REDUCED.pairs == {("small-plain-0", "small-residual-0"): "small-plain > small-residual"}


def test_of_independent_pairs_it_is_the_interval_of_t():
    own = np.random.default_rng(0).standard_normal(4)
    found = over_networks(
        pairs(lambda group, s, _: own[s] if ">" in group else 0.0),
        lambda data: data["r"].sel(group="small-plain > small-residual", drop=True),
    )
    error = own.std(ddof=1) / 2
    low, high = stats.t.interval(0.95, 3, own.mean(), error)
    assert float(found["estimate"]) == pytest.approx(own.mean())
    assert float(found["low"]) == pytest.approx(low)
    assert float(found["high"]) == pytest.approx(high)


def test_it_holds_the_truth_in_95_percent_of_studies():
    rng, within = np.random.default_rng(1), 0
    for _ in range(300):
        of_network = {k: rng.standard_normal(4) for k in range(2)}

        def r(group, s, t, of_network=of_network):
            first, second = (0, 1) if ">" in group else (("residual" in group),) * 2
            return of_network[first][s] + of_network[second][t]

        found = over_networks(pairs(r), mean)
        within += float(found["low"]) <= 0 <= float(found["high"])
    assert stats.binomtest(within, 300, 0.95).pvalue > 0.01


def test_two_seeds_have_no_interval():
    found = over_networks(pairs(lambda *_: 1.0, Plan(seeds=2)), mean)
    assert float(found["estimate"]) == 1
    assert np.isnan(found["low"])
    assert np.isnan(found["high"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"networks": ("small-plane",)}, "did you mean 'small-plain'"),
        ({"metrics": ("linear",)}, "give these three"),
        ({"distortions": {"blur": (0, 1)}}, "no distortion 'blur'"),
        ({"distortions": {}}, "two levels or more"),
        ({"networks": ("small-plain",), "seeds": 1}, "two trainings or more"),
    ],
)
def test_an_impossible_plan_is_refused_before_any_training(given, message):
    with pytest.raises(InputError, match=message):
        Plan(**given)


def test_a_ratio_has_fiellers_interval():
    own = np.random.default_rng(1).standard_normal((2, 4)) * 0.1 + [[0.5], [1.0]]
    group = "small-plain > small-residual"
    data = pairs(lambda name, s, _: own[0, s] if name == group else 0.0)
    other = pairs(lambda name, s, _: own[1, s] if name == group else 0.0)
    both = data.assign(whole=other["r"])

    def of(name):
        return lambda given: given[name].sel(group=group, drop=True)

    found = ratio_over_networks(both, of("r"), of("whole"))
    part, whole = own.mean(1)
    assert float(found["estimate"]) == pytest.approx(part / whole)
    covariance, t = np.cov(own) / 4, stats.t.ppf(0.975, 3)
    for end in ("low", "high"):
        s = float(found[end])
        variance = covariance[0, 0] - 2 * s * covariance[0, 1] + s**2 * covariance[1, 1]
        assert (part - s * whole) ** 2 == pytest.approx(t**2 * variance)
    small = both.assign(whole=both["whole"] - 0.95)
    assert all(
        np.isnan(each).all() for each in ratio_over_networks(small, of("r"), of("whole")).values()
    )


def test_a_pair_without_a_number_gives_none():
    data = pairs(lambda _, s, t: s + t)
    data["r"][0] = np.nan
    found = over_networks(data, lambda given: given["r"].mean("group", skipna=False))
    assert np.isnan(found["estimate"])
