"""Figures of units show the numbers of their results, and say what they are of."""

import numpy as np
import pytest

import convergent as cv
from convergent import features, plot
from convergent.data.contents import with_contents


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
    figure = plot.activation_spectra(found.steps["A"]["correlations"])
    (panel,) = figure.axes
    of = found.steps["A"]["correlations"]
    for side, name in (("source", "source: A (12)"), ("target", "target: B (12)")):
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
        np.testing.assert_allclose(line(panel, "best partner, 95% interval"), part["r"])
        np.testing.assert_allclose(line(panel, "one-to-one"), part["r_one_to_one"])
    for below in figure.axes[2:4]:
        assert sum(bar.get_width() for bar in below.patches) == pytest.approx(1)
    assert "held out" in figure.get_suptitle()


def test_prediction_shows_one_few_and_all(found):
    of = found.steps["A"]["sparse"]
    path, count, curves = plot.sparse_prediction(of).axes
    np.testing.assert_allclose(
        line(path, "Lasso, median unit"), of["error"].mean("fold").median("target_unit")
    )
    all_units = line(curves, "all units (ridge)")
    assert (np.diff(all_units) <= 0).all()
    assert sum(bar.get_height() for bar in count.patches) == 12


def test_clusters_are_drawn_by_what_they_share(found):
    of = found.steps["A"]["clusters"]
    matrix, gap, parts = plot.clusters(of).axes[:3]
    shown = matrix.get_images()[0].get_array()
    np.testing.assert_allclose(
        np.sort(shown.ravel()), np.sort(np.abs(of["between"]).values.ravel())
    )
    np.testing.assert_allclose(gap.get_lines()[0].get_ydata(), of["singular_values"])
    assert f"{of.attrs['k']} clusters" in gap.get_legend().get_texts()[0].get_text()
    (dots,) = [dots for dots in parts.collections if len(dots.get_offsets()) == of.attrs["k"]]
    np.testing.assert_allclose(dots.get_offsets()[:, 0], of["matched"])


def test_partial_matching_shows_its_best_share(found):
    of = found.steps["A"]["partial"]
    curve, _ = plot.partial_matching(of).axes
    np.testing.assert_allclose(line(curve, "held-out stimuli"), of["r"].mean("fold"))
    assert f"best share {float(of['best_share']):.2f}" in [
        one.get_label() for one in curve.get_lines()
    ]


def test_layers_side_by_side(found):
    figure = plot.overview(found)
    kinds, spans, models, scale = figure.axes
    heights = sum(bar.get_height() for bar in kinds.patches)
    assert heights == pytest.approx(1, abs=1e-9)
    for panel, name, label in (
        (spans, "matched", "units paired one-to-one"),
        (models, "r_lasso", "few units (Lasso)"),
        (scale, "scale_sparse", "sparse prediction"),
    ):
        np.testing.assert_allclose(line(panel, label), found.layers[name])
    assert (
        plot.locality(found.steps["A"]["locality"]).axes[0].get_xticklabels()[0].get_text() == "A"
    )


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
