"""Figures of units show the numbers of their results, and say what they are of."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot
from matplotlib.text import Text

import convergent as cv
from convergent import features, plot
from convergent.data.contents import with_contents

SHOWN = ["canonical_mean", "matched", "matched_rotated"]


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def pair():
    return cv.simulate.convergent_pair(100, 10, shares=(0.6, 0.4, 0), block=4, private=2)


@pytest.fixture(scope="module")
def found(pair):
    few = {"shuffle": cv.Shuffle(3), "bootstrap": cv.Bootstrap(20), "rotations": 2}
    return features.overview(*pair, progress=False, **few)


def line(panel, label):
    (one,) = [one for one in panel.get_lines() if one.get_label() == label]
    return one.get_ydata()


def test_spectra_fall_from_the_most_active(found):
    panel = plot.activation_spectra(found.steps["A"]["correlations"])
    of = found.steps["A"]["correlations"]
    for side, name in (("source", "source: A (12 units)"), ("target", "target: B (12 units)")):
        np.testing.assert_allclose(line(panel, name), np.sort(of[f"{side}_mean"].values)[::-1])


def test_matched_correlations_stand_on_the_diagonal(found):
    of = found.steps["A"]["correlations"]
    panels = plot.correlation_matrices(of).axes[:6]
    images = [panel.get_images()[0].get_array() for panel in panels]
    np.testing.assert_allclose(images[1], of["between"])
    diagonal = np.diagonal(images[4])
    assert (np.diff(diagonal) <= 0).all()
    assert sorted(images[4].ravel()) == sorted(images[1].ravel())


def test_matches_are_sorted_and_classes_sum_to_all(found):
    of = found.steps["A"]["matches"]
    figure = plot.matches(of)
    table = features.unit_table(of)
    for panel, side in zip(figure.axes[:2], ("source", "target"), strict=True):
        part = table[table["side"] == side].sort_values("r", ascending=False, kind="stable")
        np.testing.assert_allclose(line(panel, "best, 95% interval"), part["r"])
        np.testing.assert_allclose(line(panel, "one-to-one"), part["r_one_to_one"])
    for below in figure.axes[2:4]:
        assert sum(bar.get_width() for bar in below.patches) == pytest.approx(1)
        legend = [text.get_text() for text in below.get_legend().get_texts()]
        assert sum(int(text.split()[-1][:-1]) for text in legend) in (99, 100, 101)
    assert "100 stimuli" in figure.get_suptitle()


def test_matches_without_chance_or_intervals(pair):
    """What there is is drawn; a ceiling below 1 moves the threshold of shared units."""
    plain = features.match_units(*pair, shuffle=None, bootstrap=None)
    figure = plot.matches(plain)
    assert len(figure.axes) == 2
    assert {one.get_label() for one in figure.axes[0].get_lines()} == {"one-to-one", "best"}
    of = features.match_units(*pair, shuffle=cv.Shuffle(2), bootstrap=cv.Bootstrap(20))
    noisy = of.assign(ceiling=of["ceiling"] * 0.8)
    label = "shared: above 0.71 x ceiling"
    np.testing.assert_allclose(line(plot.matches(noisy).axes[0], label), 0.8 * 0.5**0.5)


def test_prediction_shows_one_few_and_all(found):
    of = found.steps["A"]["sparse"]
    how_well, how_many = plot.sparse_prediction(of).axes
    medians = of["r"].sel(model=["single", "lasso", "ridge"]).mean("fold").median("target_unit")
    assert [text.get_text() for text in how_well.texts] == [f"{r:.2f}" for r in medians.values]
    assert [len(dots.get_xdata()) for dots in how_well.get_lines()[:3]] == [12] * 3
    needed = np.rint(of["n_chosen"].sel(rule="one-se").mean("fold").values)
    names = [text.get_text() for text in how_many.get_xticklabels()]
    shares = dict(zip(names, [bar.get_height() for bar in how_many.patches], strict=True))
    assert sum(shares.values()) == pytest.approx(1)
    for name, low, high in (("none", 0, 0), ("1", 1, 1), ("2", 2, 2), ("3-4", 3, 4)):
        expected = ((needed >= low) & (needed <= high)).mean()
        assert shares.get(name, 0) == pytest.approx(expected), name


def test_bins_of_numbers_of_units_hold_all(found):
    of = found.steps["A"]["sparse"]
    many = of.assign(n_chosen=of["n_chosen"] * 0 + 100)
    panel = plot.sparse_prediction(many).axes[1]
    names = [text.get_text() for text in panel.get_xticklabels()]
    assert names == ["none", "1", "2", "3-4", "5-8", "9-16", "17-32", "33-64", "65-128"]
    assert [bar.get_height() for bar in panel.patches] == [0] * 8 + [1]


def test_clusters_are_drawn_by_what_they_share(found):
    of = found.steps["A"]["clusters"]
    figure = plot.clusters(of)
    parts, matrix, _ = figure.axes
    shown = matrix.get_images()[0].get_array()
    np.testing.assert_allclose(
        np.sort(shown.ravel()), np.sort(np.abs(of["between"]).values.ravel())
    )
    assert f"{of.attrs['k']} clusters" in figure.get_suptitle().replace("\n", " ")
    (pairs,) = [one for one in parts.get_lines() if one.get_label() == "units, one-to-one"]
    np.testing.assert_allclose(pairs.get_xdata(), of["matched"])
    sizes = [" + ".join(map(str, row)) for row in of["n_units"].values]
    assert [text.get_text() for text in parts.get_yticklabels()] == sizes
    assert len(matrix.patches) == of.attrs["k"]


def test_small_clusters_share_a_row(found):
    of = found.steps["A"]["clusters"]
    several = xr.concat([of[["n_units", *SHOWN]]] * 5, "cluster").merge(of.drop_dims("cluster"))
    parts = plot.clusters(several).axes[0]
    n = 5 * of.sizes["cluster"]
    labels = [text.get_text() for text in parts.get_yticklabels()]
    assert len(labels) == 11
    assert labels[-1] == f"mean of\n{n - 10} others"


def test_partial_matching_shows_its_best_share(found):
    """It ends where the units that are added match worse than all do."""
    of = found.steps["A"]["partial"]
    panel = plot.partial_matching(of)
    r, share, best = of["r"].mean("fold").values, of["share"].values, float(of["best_share"])
    np.testing.assert_allclose(line(panel, "all matched units"), r)
    (added,) = [patch for patch in panel.patches if patch.get_label() == "units added last"]
    steps = added.get_data().values
    np.testing.assert_allclose(np.cumsum(steps * np.diff(share, prepend=0)), share * r)
    n = int(np.argmax(share >= best)) + 1
    assert steps[:n].mean() > r[-1] > steps[n:].mean()
    assert f"best share: {best:.0%}" in [one.get_label() for one in panel.get_lines()]


def test_layers_side_by_side(found):
    figure = plot.overview(found)
    kinds, groups, models, needed = figure.axes
    heights = sum(bar.get_height() for bar in kinds.patches)
    assert heights == pytest.approx(1, abs=1e-9)
    for panel, name, label in (
        (groups, "matched", "units, one-to-one"),
        (models, "r_lasso", "few units (Lasso)"),
        (needed, "effective_sparse", "sparse prediction"),
        (needed, "n_source", "all source units"),
    ):
        np.testing.assert_allclose(line(panel, label), found.layers[name])
    figure = plot.locality(found.steps["A"]["locality"])
    assert figure.axes[0].get_xticklabels()[0].get_text() == "A"
    np.testing.assert_allclose(
        line(figure.axes[0], "units as they are"), found.steps["A"]["locality"]["native"]
    )


LONG = "module.encoder.layers.{}.self_attention.out_proj"


def with_layers(found, n):
    """The numbers of one layer, under n long names."""
    numbers = xr.concat([found.layers] * n, "layer", combine_attrs="override")
    return replace(found, layers=numbers.assign_coords(layer=[LONG.format(i) for i in range(n)]))


def has_room(figure):
    """All panels have a size, ticks are few and do not overlap, and texts are in the figure."""
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    assert width <= 12
    unseen = set()
    for panel in figure.axes:
        is_bar = panel.get_label() == "<colorbar>"
        box = inches(panel, figure)
        assert is_bar or not panel.axison or min(box.width, box.height) >= 0.8, panel
        for axis, ends in ((panel.xaxis, ("x0", "x1")), (panel.yaxis, ("y0", "y1"))):
            ticks = {one.label1: one for one in axis.get_major_ticks()}
            seen = [label for label, one in ticks.items() if is_seen(panel, axis, one)]
            unseen |= {*ticks} - {*seen}
            assert is_bar or len(seen) <= 12
            boxes = [inches(label, figure) for label in seen if label.get_rotation() == 0]
            places = sorted([getattr(box, end) for end in ends] for box in boxes if box.width)
            for one, other in pairwise(places):
                assert one[1] <= other[0], [label.get_text() for label in seen]
    for text in set(figure.findobj(Text)) - unseen:
        box = inches(text, figure)
        if text.get_visible() and box.width:
            assert box.x0 >= -0.05, text
            assert box.x1 <= width + 0.05, text
            assert box.y1 <= height + 0.05, text


def is_seen(panel, axis, tick):
    low, high = sorted(axis.get_view_interval())
    return panel.axison and tick.label1.get_visible() and low <= tick.get_loc() <= high


def inches(artist, figure):
    return artist.get_window_extent().transformed(figure.dpi_scale_trans.inverted())


@pytest.mark.parametrize(("n", "width", "height"), [(24, 7, 6), (6, 3.5, 10)])
def test_many_layers_with_long_names(found, n, width, height):
    of = with_layers(found, n)
    spread = xr.concat([found.steps["A"]["locality"]] * n, "layer", combine_attrs="override")
    spread = spread.assign_coords(layer=of.layers["layer"])
    for draw, result in ((plot.overview, of), (plot.locality, spread)):
        assert draw(result).get_size_inches()[0] <= 12
        given = pyplot.figure(figsize=(width, height))
        assert draw(result, figure=given) is given
        has_room(given)
        (pattern,) = [
            text.get_text() for text in given.findobj(Text) if text.get_text()[:6] == "layer:"
        ]
        assert pattern == "layer: " + LONG.format("*")
    labels = {LONG.format(i): f"L{i}" for i in range(n)}
    figure = plot.overview(of, labels=labels)
    ticks = [text.get_text() for text in figure.axes[-1].get_xticklabels()]
    assert 6 <= len(ticks) <= 12
    assert ticks[:2] == ["L0", f"L{-(-n // len(ticks))}"]


@pytest.fixture
def drawn(found):
    """Functions that draw several panels of one layer, and their results under long names."""
    of = {
        name: one.assign_attrs(source=LONG.format(0), target=LONG.format(1))
        for name, one in found.steps["A"].items()
    }
    return {
        plot.sparse_prediction: of["sparse"],
        plot.clusters: of["clusters"],
        plot.matches: of["matches"],
        plot.correlation_matrices: of["correlations"],
    }


@pytest.mark.parametrize(("width", "height"), [(None, None), (3.5, 8)])
def test_figures_of_a_layer_have_room(drawn, width, height):
    for draw, result in drawn.items():
        given = None if width is None else pyplot.figure(figsize=(width, height))
        figure = draw(result, figure=given, labels={LONG.format(1): "$other$"})
        assert given is None or figure is given
        has_room(figure)
        texts = " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")
        assert "target: $other$" in texts, draw
        assert not any(one.get_parse_math() for one in figure.findobj(Text) if "$o" in str(one))


def test_figures_are_drawn_in_parts_of_others(drawn):
    whole = pyplot.figure(figsize=(8, 12), layout="constrained")
    parts = whole.subfigures(len(drawn), 1)
    for part, (draw, result) in zip(parts, drawn.items(), strict=True):
        assert draw(result, figure=part) is part
        assert part.axes
    with pytest.raises(cv.InputError, match="a matplotlib figure"):
        plot.clusters(drawn[plot.clusters], figure=3)
    pyplot.close(whole)


def test_one_panel_is_drawn_in_given_axes(found):
    of = found.steps["A"]
    for draw, name in (
        (plot.partial_matching, "partial"),
        (plot.activation_spectra, "correlations"),
    ):
        figure, ax = pyplot.subplots(figsize=(3.5, 3), layout="constrained")
        assert draw(of[name], ax=ax, labels={"A": "mine"}) is ax
        assert figure.get_suptitle() == ""
        has_room(figure)
    with pytest.raises(cv.InputError, match="matplotlib axes"):
        plot.partial_matching(of["partial"], ax="ax")


def test_one_colour_scale_with_a_bar(found):
    for draw, name in ((plot.clusters, "clusters"), (plot.correlation_matrices, "correlations")):
        figure = draw(found.steps["A"][name])
        images = [image for panel in figure.axes for image in panel.get_images()]
        assert len({image.get_clim() for image in images}) == 1
        (bar,) = [panel for panel in figure.axes if panel.get_label() == "<colorbar>"]
        assert "correlation" in bar.get_ylabel()


def test_without_clusters_or_classes(found):
    of = found.steps["A"]["clusters"]
    none = of.isel(cluster=slice(0), half=slice(0)).assign_attrs(k=0)
    none = none.assign(label=none["label"] * 0 - 1, singular_values=("component", []))
    figure = plot.clusters(none)
    assert "no cluster has\nunits of both" in [text.get_text() for text in figure.axes[0].texts]
    numbers = found.layers.map(lambda one: one * np.nan if one.dtype.kind == "f" else one)
    assert plot.overview(replace(found, layers=numbers)).axes
    low = found.layers.assign(r_single=found.layers["r_single"] - 1.5)
    bottom = plot.overview(replace(found, layers=low)).axes[2].get_ylim()[0]
    assert bottom < float(low["r_single"].min())


def test_pyplot_does_not_keep_the_figures_of_a_layer(found):
    pyplot.close("all")
    figures = plot.layer_figures(found, "A", labels={"A": "mine"})
    assert len(figures) == 6
    assert pyplot.get_fignums() == []


def test_what_partners_like(found, pair):
    a, b = pair
    images = cv.Stimuli.from_arrays(
        [np.full((8, 8, 3), i, np.uint8) for i in range(100)],
        [f"stimulus{i:06d}.png" for i in range(100)],
    )
    named = [
        cv.Assembly(one.data.assign_coords(stimulus=[f"{s}.png" for s in one.stimuli]))
        for one in pair
    ]
    of = found.steps["A"]["matches"]
    unit = "A0003"
    figure = plot.best_stimuli(of, *named, images, units=[unit], k=2)
    table = features.unit_table(of).set_index(["side", "unit"])
    partner = table.loc[("source", unit), "partner"]
    shown = [panel.get_images()[0].get_array()[0, 0, 0] for panel in figure.axes]
    expected = [
        *np.argsort(-a.data.sel(unit=unit).values)[:2],
        *np.argsort(-b.data.sel(unit=partner).values)[:2],
    ]
    assert shown == expected
    assert f"{partner}\nr = " in figure.axes[2].get_ylabel()
    given = pyplot.figure(figsize=(3.5, 1), layout="constrained")
    texts = {unit: "mine", "A": "first"}
    assert plot.best_stimuli(of, *named, images, units=[unit], k=2, labels=texts, figure=given)
    assert given.axes[0].get_ylabel() == "mine"
    assert given.subfigs[0].get_suptitle() == "source: first"
    wide = plot.best_stimuli(of, *named, images, units=[unit], k=8)
    assert wide.get_size_inches()[0] <= 12
    with pytest.raises(cv.InputError, match="no responsive source unit 'A9999'"):
        plot.best_stimuli(of, *named, images, units=["A9999"])
    with pytest.raises(cv.InputError, match="patch=0"):
        plot.best_stimuli(of, *named, images, patch=0)


def test_patches_lie_around_the_position():
    """A unit that is active at one place shows that place."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (12, 16, 16, 3), dtype=np.uint8)
    pixels[4, 12:, :4] = 255
    images = cv.Stimuli.from_arrays(list(pixels), [f"{i:02d}.png" for i in range(12)])
    maps = pixels.reshape(12, 4, 4, 4, 4, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    labels = np.indices((3, 4, 4)).reshape(3, -1)
    flat = cv.Assembly.from_array(
        maps.reshape(12, -1),
        stimuli=images.names,
        **dict(zip(("channel", "row", "column"), (("unit", one) for one in labels), strict=True)),
    )
    units = cv.by_position(flat)
    few = {"folds": cv.Folds(3), "shuffle": cv.Shuffle(3), "bootstrap": cv.Bootstrap(20)}
    of = features.match_units(units, units, **few)
    figure = plot.best_stimuli(of, units, units, images, k=1, patch=0.25)
    for panel in figure.axes:
        np.testing.assert_array_equal(panel.get_images()[0].get_array(), 255)
    seen = cv.Assembly(with_contents(units.data, images))
    plot.best_stimuli(of, seen, units, images, k=1)
    other = cv.Stimuli.from_arrays(list(255 - pixels), images.names)
    with pytest.raises(cv.InputError, match="the images and source were shown different images"):
        plot.best_stimuli(of, seen, units, other, k=1)


def test_distortions_are_named():
    rng = np.random.default_rng(0)
    images = cv.Stimuli.from_arrays(
        list(rng.integers(0, 255, (2, 16, 16, 3), np.uint8)), ["a", "b"]
    )
    figure = plot.distortions(images, labels={"rotation": "turned", "a": "mine"})
    assert figure.get_size_inches()[0] <= 12
    assert figure.get_suptitle().startswith("mine at all levels")
    names = [panel.get_ylabel() for panel in figure.axes if panel.get_ylabel()]
    assert "low-pass\nsigma (pixels)" in names
    assert "turned\nrotation (degrees)" in names
    assert "contrast (%)" in names
    assert len(names) == len(cv.DISTORTIONS)
