"""Figures of hierarchies, shifts and distortions say what they show."""

import numpy as np
import pytest

import convergent as cv

LAYERS = ["_stem", "_blocks.1", "_head"]  # a leading _ hides a label from a legend


def layers(seed, noise=0.0):
    shared, own = np.random.default_rng(0), np.random.default_rng([1, seed])
    names = [f"{i:02d}" for i in range(60)]
    return {
        name: cv.Assembly.from_array(
            shared.standard_normal((60, 8)) + (0.5 + noise) * own.standard_normal((60, 8)),
            stimuli=names,
        )
        for name in LAYERS
    }


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))]


def test_a_shift_names_its_layers_ways_and_levels():
    sides = [{"photo": layers(k), "sketch": layers(k, 1.0)} for k in (1, 2)]
    found = cv.shift(*sides, ["linear", "procrustes"], bootstrap=cv.Bootstrap(5))
    figure = cv.plot.shift(found, "kind of picture")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "0.00 _stem",
        "0.50 _blocks.1",
        "1.00 _head",
    ]
    assert {"linear", "procrustes", "kind of picture"} <= set(texts(figure))
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["photo", "sketch"]
    line = figure.axes[0].lines[0].get_ydata()
    drop = found["drop"].isel(metric=0, map=0, level=0, layer=0)
    np.testing.assert_allclose(line, [1, 1 - float(drop)])


@pytest.mark.parametrize("bootstrap", [None, cv.Bootstrap(5)])
def test_a_hierarchy_marks_the_counterparts(bootstrap):
    found = cv.hierarchy(layers(1), layers(2), ["linear"], bootstrap=bootstrap)
    figure = cv.plot.hierarchy(found)
    assert set(LAYERS) <= set(texts(figure))
    (dots,) = figure.axes[0].collections
    partner = [LAYERS.index(name) for name in found["partner_of_target"].values[0]]
    np.testing.assert_array_equal(dots.get_offsets(), np.stack([range(3), partner], axis=1))
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), found["r"].values[0])
    assert any(text.startswith("rank correlation") for text in texts(figure))


def test_the_sheet_shows_every_level_of_every_distortion():
    images = cv.simulate.natural_images(2)
    stimuli = cv.Stimuli.from_arrays([image[:48, :48] for image in images], ["a.png", "b.png"])
    figure = cv.plot.distortions(stimuli, "b.png")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == sum(len(each.levels) for each in cv.DISTORTIONS.values())
    np.testing.assert_array_equal(shown[0], np.asarray(stimuli["b.png"]))
    assert set(cv.DISTORTIONS) <= {text.split("\n")[0] for text in texts(figure)}
    grey = cv.distort(stimuli, "colour", "grey")
    assert "needs\ncolours" in texts(cv.plot.distortions(grey))
