"""Verdicts say what is true of results whose answer is known."""

import numpy as np
import pytest
import xarray as xr

from convergent.experiments.kapoor2025.plan import FULL, Plan
from convergent.experiments.kapoor2025.verdicts import verdicts

METRICS = ["linear", "procrustes", "soft-matching"]
LAYERS, STEPS = 5, [0.0, 0.5, 1.0, 2.0]
DEPTH = np.arange(LAYERS) / (LAYERS - 1)


def along_pairs(result, plan):
    """The same for all pairs, but for a little that is each network's own."""
    rng = np.random.default_rng(0)
    own = {run: 1 + 0.001 * rng.standard_normal() for run in plan.runs}
    parts = [own[source] * own[target] * result for source, target in plan.pairs]
    joined = xr.concat(parts, xr.Variable("pair", [" > ".join(pair) for pair in plan.pairs]))
    seeds = [[plan.runs[run][1] for run in pair] for pair in plan.pairs]
    return joined.assign_coords(
        group=("pair", list(plan.pairs.values())),
        source_seed=("pair", [source for source, _ in seeds]),
        target_seed=("pair", [target for _, target in seeds]),
    )


def hierarchy(plan=FULL, heights=(0.95, 0.9, 0.5), slope=-0.2, chance=0.1, rank=0.95):
    apart = np.abs(DEPTH[:, None] - DEPTH)
    r = np.array([h + slope * DEPTH - 0.3 * apart for h in heights])
    dims = ("metric", "source", "target")
    result = xr.Dataset(
        {
            "r": (dims, r),
            "r_chance": (("chance", *dims), np.full((2, *r.shape), chance)),
            "depth_correlation": ("metric", np.full(3, rank)),
        },
        coords={"metric": METRICS, "chance": ["shuffled", "rotated"]},
    )
    found = along_pairs(result, plan).assign_coords(source_depth=("source", DEPTH))
    first = (
        found["group"].to_series().duplicated().to_numpy()
    )  # controls are scored in one pair of each
    found["r_chance"] = found["r_chance"].where(~xr.DataArray(first, dims="pair"))
    return found


def trajectory(plan=FULL, grown=(0.2, 0.6, 0.8, 0.9), correct=(0.1, 0.2, 0.5, 0.9)):
    dims = ("metric", "against", "step", "layer")
    r = np.broadcast_to(np.array(grown)[:, None], (3, 2, len(STEPS), LAYERS))
    result = xr.Dataset(
        {"r": (dims, r), "accuracy": (("network", "step"), np.array([correct, correct]))},
        coords={"metric": METRICS, "against": ["same step", "final"], "step": STEPS},
    )
    return along_pairs(result, plan).assign_attrs(early=1.0)


def shift(plan=FULL, slopes=(0.2, 0.3)):
    values = np.broadcast_to(np.array(slopes)[:, None, None], (2, 4, 3))
    result = xr.Dataset(
        {"slope": (("map", "distortion", "metric"), values)},
        coords={
            "map": ["transferred", "refitted"],
            "distortion": ["colour", "contrast", "low-pass", "rotation"],
            "metric": METRICS,
        },
    ).expand_dims(level=3)
    return along_pairs(result, plan)


def verdicts_of(*results):
    return verdicts(*results)["verdict"].tolist()


def test_findings_that_hold():
    found = verdicts(hierarchy(), trajectory(), shift())
    assert found["verdict"].tolist() == ["holds"] * 4
    assert "procrustes 0.80" in found["numbers"][0]  # 0.9 - 0.2 x mean depth
    assert "soft-matching -0.20" in found["numbers"][1]
    assert "linear 0.86" in found["numbers"][2]  # (0.8 - 0.2) / (0.9 - 0.2)
    assert "above 0 in 4, 4, 4 of 4 distortions" in found["numbers"][3]


@pytest.mark.parametrize(
    ("change", "finding", "verdict"),
    [
        ({"hierarchy": {"heights": (0.95, 0.6, 0.5)}}, 0, "holds partly"),
        ({"hierarchy": {"heights": (0.6, 0.4, 0.45), "chance": 0.3}}, 0, "does not hold here"),
        # lower than Procrustes, as ever, but no higher than chance
        ({"hierarchy": {"chance": 0.45}}, 0, "does not hold here"),
        ({"hierarchy": {"slope": 0.2}}, 1, "holds partly"),
        ({"hierarchy": {"slope": 0.2, "rank": 0.1}}, 1, "does not hold here"),
        # accuracy climbs, as ever, but alignment comes later
        ({"trajectory": {"grown": (0.2, 0.3, 0.4, 0.9)}}, 2, "does not hold here"),
        ({"trajectory": {"correct": (0.1, 0.7, 0.9, 0.9)}}, 2, "holds partly"),
        ({"shift": {"slopes": (0.2, -0.1)}}, 3, "holds partly"),
        ({"shift": {"slopes": (-0.2, 0.0)}}, 3, "does not hold here"),
    ],
)
def test_findings_that_do_not_hold(change, finding, verdict):
    make = {"hierarchy": hierarchy, "trajectory": trajectory, "shift": shift}
    results = [made(**change.get(name, {})) for name, made in make.items()]
    expected = ["holds"] * 4
    expected[finding] = verdict
    assert verdicts_of(*results) == expected


def test_an_interval_around_the_threshold_does_not_decide():
    """Alignment comes early in most networks, and late in one."""
    early, late = trajectory(), trajectory(grown=(0.2, 0.3, 0.4, 0.9))
    first = (early["source_seed"] == early["source_seed"][0]) | (
        early["target_seed"] == early["source_seed"][0]
    )
    mixed = early.assign(r=xr.where(first, late["r"], early["r"], keep_attrs=False))
    assert verdicts_of(hierarchy(), mixed, shift())[2] == "not decided"


def without_a_number(result, name, **where):
    """The result, with NaN in one place."""
    values = result[name].copy()
    values[where] = np.nan
    return result.assign({name: values})


def test_what_is_not_defined_cannot_be_judged():
    known = [hierarchy(), trajectory(), shift()]
    for finding, changed in {
        0: [hierarchy(heights=(-0.5, 0.9, 0.5)), *known[1:]],  # a ratio to a score below 0
        1: [without_a_number(known[0], "depth_correlation", metric=0, pair=3), *known[1:]],
        2: [known[0], trajectory(grown=(0.5, 0.5, 0.5, 0.5)), known[2]],
        3: [*known[:2], without_a_number(known[2], "slope", metric=1, pair=2, level=0)],
    }.items():
        expected = ["holds"] * 4
        expected[finding] = "cannot be judged"
        if finding == 0:  # early layers align least then
            expected[1] = "holds"
        found = verdicts(*changed)
        assert found["verdict"].tolist() == expected
        assert "not defined" in found["numbers"][finding]


def test_levels_that_a_distortion_lacks_do_not_count():
    result = shift()
    short = result["slope"].copy()
    short[{"level": 2, "distortion": 1}] = np.nan
    assert verdicts_of(hierarchy(), trajectory(), result.assign(slope=short))[3] == "holds"


def test_two_seeds_do_not_decide():
    few = Plan(seeds=2)
    assert set(verdicts_of(hierarchy(few), trajectory(few), shift(few))) == {
        "not decided: fewer than three seeds"
    }
