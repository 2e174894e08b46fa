"""Figures of the findings show the numbers of results that are made up, and their verdicts."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import pyplot

from convergent import InputError, plot
from convergent.experiments.kapoor2025.study import Findings

METRICS = ["linear", "procrustes", "soft-matching"]
DEPTH = np.arange(3) / 2
STEPS = [0.0, 0.5, 1.0, 2.0]
MAPS = ["transferred", "refitted"]
DISTORTIONS = ["colour", "contrast"]


def result(sizes, seeds, **coords):
    """Random numbers for all pairs of networks of one group, which differ in their seeds."""
    rng = np.random.default_rng(0)
    pairs = list(combinations(range(seeds), 2))
    found = xr.Dataset(
        {
            name: (("pair", *dims), rng.uniform(0.2, 0.8, (len(pairs), *dims.values())))
            for name, dims in sizes.items()
        },
        coords=coords,
    )
    return found.assign_coords(
        group=("pair", ["small"] * len(pairs)),
        source_seed=("pair", [one for one, _ in pairs]),
        target_seed=("pair", [other for _, other in pairs]),
    )


def findings(seeds):
    cells = {"metric": 3, "source": 3, "target": 3}
    hierarchy = result(
        {"r": cells, "r_chance": {"chance": 2} | cells, "depth_correlation": {"metric": 3}},
        seeds,
        metric=METRICS,
        chance=["shuffled", "rotated"],
        source_depth=("source", DEPTH),
    )
    cells = {"metric": 3, "against": 2, "step": 4, "layer": 3}
    trajectory = result(
        {
            "r": cells,
            "r_chance": {"chance": 1} | cells,
            "accuracy": {"network": 2, "step": 4},
        },
        seeds,
        metric=METRICS,
        chance=["rotated"],
        against=["same step", "final"],
        step=STEPS,
    ).assign_attrs(early=1.0)
    cells = {"metric": 3, "map": 2, "distortion": 2, "level": 2}
    shift = result(
        {"slope": cells, "drop": cells | {"layer": 3}},
        seeds,
        metric=METRICS,
        map=MAPS,
        distortion=DISTORTIONS,
        depth=("layer", DEPTH),
    )
    names = ["metrics", "correspondence", "training", "shift"]
    verdicts = pd.DataFrame({"finding": names, "verdict": "holds", "numbers": "r 0.50"})
    return Findings(hierarchy, trajectory, shift, verdicts)


@pytest.fixture(scope="module")
def found():
    return findings(seeds=4)


@pytest.fixture(scope="module")
def figures(found):
    return plot.findings(found)


def curves(panel):
    return {line.get_label(): line.get_ydata() for line in panel.lines}


def test_each_finding_has_a_figure_with_its_verdict(figures):
    assert list(figures) == ["metrics", "correspondence", "training", "shift"]
    for name, figure in figures.items():
        title, *lines = figure.get_suptitle().split("\n")
        assert title == f"{name.capitalize()}: holds"
        assert "6 pairs of networks, 4 seeds" in lines[0]
        assert "r 0.50" not in figure.get_suptitle()  # the table has the numbers
        figure.canvas.draw()
        assert figure.get_figwidth() <= 12
        sides = [panel.get_window_extent() for panel in figure.axes if not panel.get_label()]
        assert min(min(box.width, box.height) for box in sides) >= 0.8 * figure.dpi


def test_scores_of_layers_at_the_same_depth(found, figures):
    (panel,) = figures["metrics"].axes
    drawn = curves(panel)
    for name, label in (("r", "{}"), ("r_chance", "control: {}, soft-matching")):
        mean = found.hierarchy[name].mean("pair").values
        diagonal = np.diagonal(mean, axis1=-2, axis2=-1)
        if name == "r":
            expected = dict(zip(METRICS, diagonal, strict=True))
        else:
            expected = dict(zip(["shuffled", "rotated"], diagonal[:, -1], strict=True))
        for key, values in expected.items():
            np.testing.assert_allclose(drawn[label.format(key)], values)


def test_the_best_source_of_each_target_layer(found, figures):
    panels = figures["correspondence"].axes[:3]
    for panel, values in zip(panels, found.hierarchy["r"].mean("pair").values, strict=True):
        np.testing.assert_allclose(panel.images[0].get_array(), values)
        np.testing.assert_array_equal(panel.lines[0].get_ydata(), values.argmax(0))


def test_scores_and_accuracy_in_training(found, figures):
    panels = figures["training"].axes
    for panel, against in zip(panels, ("same step", "final"), strict=True):
        drawn = curves(panel)
        r = found.trajectory["r"].sel(against=against).mean(["pair", "layer"])
        for metric in METRICS:
            np.testing.assert_allclose(drawn[metric], r.sel(metric=metric))
        correct = found.trajectory["accuracy"].mean(["pair", "network"])
        np.testing.assert_allclose(drawn["accuracy"], correct)


def test_drops_by_distortion_and_over_depth(found, figures):
    panels = figures["shift"].axes
    labels = [text.get_text() for text in panels[0].get_yticklabels()]
    assert labels == DISTORTIONS[::-1]
    for name, left, right in zip(MAPS, panels[::2], panels[1::2], strict=True):
        part = found.shift.sel(map=name).mean(["pair", "level"])
        for metric, bars in zip(METRICS, left.containers, strict=True):
            slopes = part["slope"].sel(metric=metric)
            np.testing.assert_allclose(bars.lines[0].get_xdata(orig=False), slopes)
            drops = part["drop"].sel(metric=metric).mean("distortion")
            np.testing.assert_allclose(curves(right)[metric], drops)


def test_correspondence_has_one_scale_of_colours(figures):
    *panels, bar = figures["correspondence"].axes
    assert bar.get_label() == "<colorbar>"
    assert len({panel.images[0].get_clim() for panel in panels}) == 1


def test_a_control_that_changes_nothing_is_not_drawn(found):
    unnoticed = found.hierarchy.assign(
        r_chance=found.hierarchy["r_chance"].where(
            found.hierarchy["chance"] != "rotated", found.hierarchy["r"]
        )
    )
    figures = plot.findings(replace(found, hierarchy=unnoticed))
    controls = {label for label in curves(figures["metrics"].axes[0]) if "control" in label}
    assert controls == {"control: shuffled, soft-matching"}


def test_scores_below_zero_are_seen(found):
    low = found.hierarchy.assign(r=found.hierarchy["r"] - 1)
    panel = plot.findings(replace(found, hierarchy=low))["metrics"].axes[0]
    assert panel.get_ylim()[0] <= min(line.get_ydata().min() for line in panel.lines)


def test_some_findings_in_given_figures_with_labels(found):
    whole = pyplot.figure(figsize=(7, 7))
    above, below = whole.subfigures(2, 1)
    labels = {"linear": "ridge", "contrast": "weak contrast"}
    drawn = plot.findings(found, labels=labels, figure={"metrics": above, "shift": below})
    assert drawn == {"metrics": above, "shift": below}
    assert "ridge" in curves(above.axes[0])
    assert "weak contrast" in [text.get_text() for text in below.axes[0].get_yticklabels()]
    with pytest.raises(InputError, match="'slope'"):
        plot.findings(found, figure={"slope": above})


def test_two_seeds_have_no_intervals():
    figures = plot.findings(findings(seeds=2))
    assert "too few for intervals" in figures["training"].get_suptitle()
    title = figures["correspondence"].axes[0].get_title()
    assert "rank correlation" in title
    assert "[" not in title
