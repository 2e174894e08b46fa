"""Every figure of scores, whatever the number of layers, names and regions, fits its page."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from cases import recording

import convergent as cv
from convergent import plot

STIMULI = [f"{i:02d}.png" for i in range(30)]
LONG = "module.encoder.layers.{}.self_attention.out_proj"
REGIONS = ("V1", "V2", "V4", "MT", "LOC", "FFA", "PPA", "EBA", "IT")
BOXES = np.argwhere(np.ones((2, 3, 4)))
VOXELS = {f"voxel_{axis}": ("unit", BOXES[:, k] + 20) for k, axis in enumerate("ijk")}


def layers(n, seed=0, name=LONG):
    return {name.format(k): recording(5, seed=seed + k, stimuli=STIMULI) for k in range(n)}


def regions(n):
    return {
        name: recording(6, 4, seed=20 + k, stimuli=STIMULI) for k, name in enumerate(REGIONS[:n])
    }


def score(sources, targets, metrics="linear", **options):
    return cv.score(sources, targets, metrics, folds=cv.Folds(2), **options)


@pytest.fixture(scope="module")
def few():
    """Six layers, one region, two metrics, with a bootstrap."""
    bootstrap = cv.Bootstrap(12, refits=2)
    return score(layers(6), regions(1), ["linear", "procrustes"], bootstrap=bootstrap)


@pytest.fixture(scope="module")
def many():
    """24 layers and 9 regions."""
    return score(layers(24), regions(9))


@pytest.fixture(scope="module")
def resampled():
    """24 layers and one region, with a bootstrap."""
    return score(layers(24), regions(1), bootstrap=cv.Bootstrap(12, refits=2))


@pytest.fixture(scope="module")
def compared():
    """Comparisons of two populations, of layers with one, and of layers with layers."""
    one = recording(6, seed=50, stimuli=STIMULI, name="V4")
    options = {"folds": cv.Folds(2), "references": ["cka", "rsa-pearson"]}
    return {
        "pair": cv.compare(recording(5, stimuli=STIMULI, name="conv"), one, **options),
        "layers": cv.compare(layers(6), one, **options),
        "networks": cv.compare(layers(6), layers(4, seed=90), **options),
    }


@pytest.fixture(scope="module")
def voxels():
    signals = recording(len(BOXES), seed=3, stimuli=STIMULI).data.values
    noise = np.random.default_rng(0).standard_normal((*signals.shape, 4))
    noise[:, :3] *= 50  # three voxels are left out
    area = cv.Assembly.from_array(
        signals[..., None] + noise, dims=("stimulus", "unit", "repeat"), stimuli=STIMULI, **VOXELS
    )
    return score(layers(2), {"V1": area}, min_reliability=0.5)


def networks(scores, **options):
    part = scores.isel(source=slice(0, 4))
    return plot.networks({"lite0": scores, "lite1": part}, **options)


OF_SCORES = {
    "scores": plot.scores,
    "networks": networks,
    "units": plot.units,
    "differences": plot.differences,
}


def seen(labels):
    return [one for one in labels if one.get_text() and one.get_visible()]


def check(figure, width=None):
    """Check that a figure is not too wide, and that its panels and texts have room."""
    figure.canvas.draw()
    wide = figure.get_size_inches()[0]
    assert wide <= 12 if width is None else wide == width
    panels = [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]
    for panel in panels:
        assert (panel.get_window_extent().size / figure.dpi).min() > 0.5
        ticks = seen(panel.get_xticklabels())
        assert len(ticks) <= 12
        if not any(one.get_rotation() for one in ticks):
            boxes = sorted(one.get_window_extent().extents.tolist() for one in ticks)
            assert all(left[2] <= right[0] + 1 for left, right in itertools.pairwise(boxes))
    texts = [figure._suptitle, figure._supxlabel, *figure.legends]
    boxes = [text.get_window_extent() for text in texts if text is not None]
    assert all(box.x0 >= -2 and box.x1 <= wide * figure.dpi + 2 for box in boxes)
    inside = [panel.get_window_extent() for panel in panels]
    assert not any(one.overlaps(box) for one in inside for box in boxes)
    plt.close(figure)


@pytest.mark.parametrize("name", ["scores", "units"])
def test_24_layers_and_9_regions_have_room(many, name):
    figure = OF_SCORES[name](many)
    assert len(figure.axes) == 9
    check(figure)


@pytest.mark.parametrize("name", OF_SCORES)
def test_they_fit_a_column_of_a_paper(resampled, name):
    column = plt.figure(figsize=(3.5, 4))
    assert OF_SCORES[name](resampled, figure=column) is column
    assert column.get_supxlabel().split("\n")[0].endswith("layers.*.") or name == "networks"
    check(column, 3.5)


def test_a_part_of_a_figure(few):
    whole = plt.figure(figsize=(8, 4))
    left, right = whole.subfigures(1, 2)
    assert plot.scores(few, figure=left) is left
    assert not right.axes
    assert len(left.axes) == 1
    check(whole, 8)


@pytest.mark.parametrize("name", OF_SCORES)
def test_a_panel_that_the_user_gave(few, name):
    mine, (left, right) = plt.subplots(1, 2)
    options = {"metric": "linear"} if name == "networks" else {}
    assert OF_SCORES[name](few, ax=right, **options) is right
    assert not left.has_data()
    assert right.has_data()
    assert mine._suptitle is None
    assert not mine.legends
    plt.close(mine)


def test_one_panel_is_not_enough_for_two(few):
    mine, panel = plt.subplots()
    with pytest.raises(cv.InputError, match="ax= is one panel, and this figure has 2: give figure"):
        networks(few, ax=panel)
    plt.close(mine)


@pytest.mark.parametrize("name", OF_SCORES)
def test_labels_replace_names(few, name):
    labels = {LONG.format(0): "first", "V1": "primary visual", "linear": "regression"}
    figure = OF_SCORES[name](few, labels=labels | {"lite0": "EfficientNet"}, value="normalized")
    texts = [text.get_text() for text in figure.findobj(plt.Text)]
    for label in ("primary visual", "EfficientNet" if name == "networks" else "regression"):
        assert any(label in text for text in texts)
    if name != "networks":
        assert "first" in texts
    plt.close(figure)


def test_pyplot_shows_it_and_letters_stay_letters(few, tmp_path):
    figure = plot.scores(few)
    assert figure.number in plt.get_fignums()
    figure.savefig(tmp_path / "figure.pdf")
    kinds = set(re.findall(rb"/Subtype /(Type3|Type42|CIDFontType2|TrueType)", _pdf(tmp_path)))
    assert kinds
    assert b"Type3" not in kinds
    plt.close(figure)


def _pdf(folder):
    return (folder / "figure.pdf").read_bytes()


def test_a_normalized_score_says_what_1_is(few):
    figure = plot.scores(few, value="normalized")
    said = figure.get_suptitle().replace("\n", " ")
    assert cv.statistics.ceilings.CEILING_WORDS["split-half"].normalized in said
    (ceiling,) = (
        line.get_ydata()[0]
        for line in figure.axes[0].get_lines()
        if line.get_linestyle() == "--" and len(line.get_ydata())
    )
    assert ceiling == 1
    plt.close(figure)
    with pytest.raises(cv.InputError, match="no score is normalized"):
        plot.scores(score(layers(1), regions(1), ceiling=None), value="normalized")


def test_the_ceiling_has_the_interval_of_the_table(few):
    row = cv.summary(few).iloc[0]
    assert row["ceiling_low"] < row["ceiling"] < row["ceiling_high"]
    (band,) = plot.scores(few).axes[0].patches
    ends = [band.get_y(), band.get_y() + band.get_height()]
    assert ends == pytest.approx([row["ceiling_low"], row["ceiling_high"]])


def test_sources_stand_in_the_order_in_which_they_were_given():
    named = {name: recording(5, seed=k, stimuli=STIMULI) for k, name in enumerate("zax")}
    (panel,) = plot.scores(score(named, regions(1))).axes
    assert [text.get_text() for text in panel.get_xticklabels()] == ["z", "a", "x"]


def test_networks_of_different_depth_share_the_axis(few):
    (panel,) = networks(few, metric="linear").axes
    lite0, lite1 = (bars.lines[0].get_xdata() for bars in panel.containers)
    np.testing.assert_allclose(lite0, np.linspace(0, 1, 6))
    np.testing.assert_allclose(lite1, np.linspace(0, 1, 4))
    (panel,) = networks(few, metric="linear", x="layer").axes
    assert [text.get_text() for text in panel.get_xticklabels()] == list("123456")
    with pytest.raises(cv.InputError, match="metric"):
        networks(few, metric="linaer")


def test_units_that_are_left_out_are_counted_with_the_reason(voxels):
    (panel,) = plot.units(voxels).axes
    said = panel.get_title().replace("\n", " ")
    assert said == "V1: 21 units, 3 left out (reliability below 0.5)"


def test_medians_of_boxes_are_the_scores(few):
    (panel,) = plot.units(few, metric="linear").axes
    middle = [line.get_ydata()[0] for line in panel.get_lines() if line.get_linewidth() == 2]
    np.testing.assert_allclose(middle, cv.summary(few.sel(metric=["linear"]))["r"])


def test_units_are_needed():
    with pytest.raises(cv.InputError, match="no scores of single units: score again"):
        plot.units(score(layers(1), regions(1), units=False))


def test_differences_are_those_of_the_table(few):
    name = LONG.format(2)
    (panel,) = plot.differences(few, reference=name, metric="linear").axes
    table = cv.differences(few, reference=name).query("metric == 'linear'")
    np.testing.assert_allclose(panel.containers[0].lines[0].get_ydata(), table["difference"])
    (panel,) = plot.differences(few, metric="linear").axes
    best = cv.summary(few).query("metric == 'linear'")["r"]
    np.testing.assert_allclose(
        sorted(panel.containers[0].lines[0].get_ydata()), sorted(best - best.max())[:-1]
    )


def test_both_directions_and_references_of_a_comparison(compared):
    figure = plot.compare(compared["pair"])
    (panel,) = figure.axes
    words = [text.get_text() for text in panel.get_yticklabels()]
    assert words == [
        *("linear: conv predicts V4", "linear: V4 predicts conv", "linear: mean of both"),
        *("CKA", "RSA, Pearson"),
    ]
    written = [float(text.get_text()) for text in panel.texts]
    value = compared["pair"]["value"].squeeze()
    similar = value[value["kind"] == "similarity"]
    np.testing.assert_allclose(written, similar, atol=0.005)
    check(figure)
    distances = plot.compare(compared["pair"], kind="distance").axes[0]
    assert "Procrustes angle (rad)" in [text.get_text() for text in distances.get_yticklabels()]


@pytest.mark.parametrize(("which", "panels"), [("layers", 1), ("networks", 5)])
def test_comparisons_of_many_share_one_scale(compared, which, panels):
    column = plt.figure(figsize=(3.5, 7))
    *drawn, bar = plot.compare(compared[which], figure=column).axes
    assert len(drawn) == panels
    assert bar.get_label() == "<colorbar>"
    assert len({panel.images[0].get_clim() for panel in drawn}) == 1
    check(column, 3.5)


def test_voxels_lie_where_they_are(voxels):
    figure = plot.voxels(voxels, source=LONG.format(0))
    *drawn, bar = figure.axes
    assert [panel.get_title() for panel in drawn] == [f"k = {k}" for k in range(20, 24)]
    assert bar.get_ylabel() == "r on held-out stimuli"
    r = voxels["r"].sel(metric="linear", source=LONG.format(0)).mean("fold").values
    r = np.where(voxels["excluded"] == "", r, np.nan).reshape(2, 3, 4)
    for k, panel in enumerate(drawn):
        np.testing.assert_allclose(panel.images[1].get_array().filled(np.nan), r[:, :, k].T)
    assert "24 voxels; 3 left out" in figure.get_suptitle().replace("\n", " ")
    check(figure)
    some = plot.voxels(voxels, slices=2).axes
    assert len(some) == 3


def test_voxels_need_places(few):
    with pytest.raises(cv.InputError, match="no 'voxel_i', 'voxel_j', 'voxel_k' along 'unit'"):
        plot.voxels(few)


def test_some_targets_are_voxels():
    data = recording(24, 4, seed=3, stimuli=STIMULI)
    both = score(layers(1), {"V1": cv.Assembly(data.data.assign_coords(VOXELS)), "V4": data})
    assert both["voxel_i"].values[:3].tolist() == [20, 20, 20]
    assert set(both["voxel_i"].values[24:]) == {-1}
    assert "V1 from" in plot.voxels(both, target="V1").get_suptitle()
    with pytest.raises(cv.InputError, match="no unit of 'V4' has the indices"):
        plot.voxels(both, target="V4")
