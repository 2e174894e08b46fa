"""Figures of scores show the numbers of the table, and say what they are of."""

from functools import partial

import matplotlib.colors
import numpy as np
import pytest
import xarray as xr
from cases import recording

import convergent as cv
from convergent import Folds, plot

STIMULI = [f"{i:02d}.png" for i in range(40)]

assembly = partial(recording, stimuli=STIMULI)
SOURCES = {"early": assembly(6, seed=1), "late": assembly(8, seed=2)}
TARGETS = {"A": assembly(5, 4, seed=3), "B": assembly(7, 4, seed=4, noise=1.5)}


def score(sources=SOURCES, targets=TARGETS, metrics=("linear", "procrustes"), **options):
    return cv.score(sources, targets, metrics, folds=Folds(3), **options)


@pytest.fixture(scope="module")
def scores():
    return score()


def dashed(panel):
    """Heights of the lines that stand for a ceiling."""
    lines = [line for line in panel.get_lines() if line.get_linestyle() == "--"]
    return [line.get_ydata()[0] for line in lines if len(line.get_ydata())]  # not of the legend


def drawn(panel):
    """Heights of the points of each metric."""
    return {bars.get_label(): bars.lines[0].get_ydata() for bars in panel.containers}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_panel_for_each_target(scores):
    panels = plot.scores(scores).axes
    assert [panel.get_title() for panel in panels] == ["A: 5 units", "B: 7 units"]
    for panel in panels:
        assert [text.get_text() for text in panel.get_xticklabels()] == ["early", "late"]


def test_scores_below_0_are_in_the_picture_in_every_panel():
    targets = {"A": TARGETS["A"], "noise": assembly(4, 4, seed=9, noise=50)}
    scores = score(targets=targets, ceiling=None)
    scores["r"][:] = xr.where(scores["target"] == "noise", -0.8, scores["r"]).transpose(
        *scores["r"].dims
    )
    for panel in plot.scores(scores).axes:
        low, high = panel.get_ylim()
        assert low < -0.8
        assert high > scores["r"].max("unit").max()


@pytest.mark.parametrize("units", [True, False])
def test_points_and_ceilings_are_those_of_the_table(units):
    scores = score(units=units)
    table = cv.summary(scores)
    for panel, target in zip(plot.scores(scores).axes, "AB", strict=True):
        rows = table[table["target"] == target]
        assert dashed(panel) == [pytest.approx(rows["ceiling"].iloc[0])]
        assert set(drawn(panel)) == {"linear", "procrustes"}
        for metric, heights in drawn(panel).items():
            np.testing.assert_allclose(heights, rows.loc[rows["metric"] == metric, "r"])


def test_bars_span_the_middle_half_of_the_units(scores):
    panel = plot.scores(scores).axes[1]
    _, _, (lines,) = next(bars.lines for bars in panel.containers if bars.get_label() == "linear")
    spans = np.array([segment[:, 1] for segment in lines.get_segments()])
    r = scores["r"].sel(metric="linear").isel(unit=scores["target"].values == "B").mean("fold")
    np.testing.assert_allclose(spans.T, np.quantile(r, [0.25, 0.75], axis=-1))


def test_no_bars_without_unit_scores():
    for bars in plot.scores(score(units=False)).axes[0].containers:
        assert not bars.has_yerr


def test_resamples_give_intervals_and_open_dots_for_what_is_behind():
    noisy = SOURCES["late"].data + 3 * np.random.default_rng(5).standard_normal((len(STIMULI), 8))
    sources = {"late": SOURCES["late"], "noisy": cv.Assembly(noisy)}
    scores = score(sources, bootstrap=cv.Bootstrap(50, refits=6))
    rows = cv.summary(scores).query("target == 'A' and metric == 'linear'")
    figure = plot.scores(scores)
    panel = figure.axes[0]
    bars = next(bars for bars in panel.containers if bars.get_label() == "linear")
    spans = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    np.testing.assert_allclose(spans, rows[["r_low", "r_high"]])
    hollow = [line for line in panel.get_lines() if line.get_markerfacecolor() == "white"]
    behind = rows.loc[rows["source"] == "noisy", "r"]
    np.testing.assert_allclose(hollow[0].get_ydata(), behind)
    assert "95% confidence interval" in figure.get_suptitle().replace("\n", " ")


def test_ceilings_that_differ_by_metric_are_drawn_apart():
    figure = plot.scores(score(ceiling="attainable"))
    assert [len(dashed(panel)) for panel in figure.axes] == [2, 2]
    assert "attainable ceiling,\nin the colour of each" in legend(figure)


def test_no_ceiling_line_without_a_ceiling():
    figure = plot.scores(score(ceiling=None))
    assert [dashed(panel) for panel in figure.axes] == [[], []]
    assert legend(figure) == ["linear", "procrustes"]


def test_legend_and_labels_explain_the_figure(scores):
    figure = plot.scores(scores)
    assert sorted(legend(figure)) == ["linear", "noise ceiling (split-half)", "procrustes"]
    assert figure.axes[0].get_ylabel() == "r on held-out stimuli"
    assert figure.get_suptitle().startswith(
        "40 stimuli. Dots: median over units; bars: middle half"
    )


def test_notebooks_show_it_by_itself(scores):
    assert plot.scores(scores)._repr_png_().startswith(b"\x89PNG")


def test_metrics_differ_in_colour(scores):
    panel = plot.scores(scores).axes[0]
    colours = {matplotlib.colors.to_hex(bars.lines[0].get_color()) for bars in panel.containers}
    assert len(colours) == 2


@pytest.mark.parametrize("side", ["source", "target"])
def test_simulated_data_are_called_so(side):
    simulated = {"x": assembly(6, 3, seed=1, simulated=True)}
    figure = plot.scores(score(**{f"{side}s": simulated}))
    assert figure.get_suptitle().startswith("Simulated data: 40 stimuli")


def test_one_source_one_target_one_metric(tmp_path):
    figure = plot.scores(score(assembly(6, name="only"), assembly(5, 3, name="V4"), "linear"))
    (panel,) = figure.axes
    assert panel.get_title() == "V4: 5 units"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["only"]
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_many_targets_take_several_rows():
    targets = {f"t{i}": assembly(3, 3, seed=i) for i in range(6)}
    panels = plot.scores(score(targets=targets, metrics="linear")).axes
    assert [panel.get_title() for panel in panels] == [f"t{i}: 3 units" for i in range(6)]
    assert len({panel.get_subplotspec().rowspan.start for panel in panels}) == 2
    assert panels[0].figure.get_supylabel() == "r on held-out stimuli"


def test_units_left_out_are_counted_in_the_title():
    values = assembly(5, 4, seed=3).data.copy()
    values[:, 2] = 1.0
    panel = plot.scores(score(targets={"A": cv.Assembly(values)})).axes[0]
    assert panel.get_title() == "A: 4 units, 1 left out"


def test_target_all_of_whose_units_are_left_out():
    noise = np.random.default_rng(0).standard_normal((len(STIMULI), 4, 2))
    dims = ("stimulus", "unit", "repeat")
    deaf = cv.Assembly.from_array(noise, dims=dims, stimuli=STIMULI)
    figure = plot.scores(score(targets={"deaf": deaf, **TARGETS}, min_reliability=0.95))
    assert figure.axes[0].get_title() == "deaf: 0 units, 4 left out"
    assert dashed(figure.axes[0]) == []
    assert "noise ceiling (split-half)" in legend(figure)  # as other panels have one


def test_names_with_signs_of_formulas_are_drawn_as_they_are(tmp_path):
    formula = r"$\frac$"  # which is none, and would raise
    figure = plot.scores(score({formula: SOURCES["early"]}, {formula: TARGETS["A"]}))
    figure.savefig(tmp_path / "figure.svg")
    assert f">{formula}: 5 units</text>" in (tmp_path / "figure.svg").read_text()
