"""Figures of hierarchies, shifts, trajectories and distortions show numbers and their labels."""

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
    found = cv.shift(*sides, ["linear", "procrustes"], bootstrap=cv.Bootstrap(5, refits=2))
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


STEPS = (0.0, 1.0, 4.0)


def run(seed):
    """Layers that are the less noisy, the longer the training."""
    return {step: layers(seed, noise) for step, noise in zip(STEPS, (3.0, 1.0, 0.0), strict=True)}


def curves(panel):
    return {line.get_label(): line.get_ydata() for line in panel.lines}


def test_a_trajectory_shows_layers_chance_ceiling_and_accuracy():
    runs = {name: run(seed) for seed, name in enumerate("ab")}
    rotated = {
        step: {name: cv.rotated(layer) for name, layer in of_step.items()}
        for step, of_step in runs["a"].items()
    }
    correct = {name: dict(zip(STEPS, (0.1, 0.5, 0.9), strict=True)) for name in runs}
    found = cv.trajectory(runs, ["linear"], chance={"rotated": {"a": rotated}}, accuracy=correct)
    above, below = cv.plot.trajectory(found, "epochs").axes
    assert below.get_xlabel() == "epochs"
    for panel, against in ((above, "same step"), (below, "final")):
        part = found.sel(against=against).isel(metric=0)
        drawn = curves(panel)
        for depth, layer in zip(("0.00", "0.50", "1.00"), LAYERS, strict=True):
            r = part["r"].sel(layer=layer).isel(pair=0)
            np.testing.assert_allclose(drawn[f"{depth} {layer}"], r)
        ceiling = found["ceiling"].isel(metric=0).mean(["run", "layer"])
        np.testing.assert_allclose(drawn["ceiling (with itself)"], ceiling)
        chance = part["r_chance"].isel(chance=0, pair=0).mean("layer")
        np.testing.assert_allclose(drawn["chance: rotated"], chance)
        np.testing.assert_allclose(drawn["accuracy"], [0.1, 0.5, 0.9])


@pytest.mark.parametrize("runs", [1, 2])
def test_bands_of_a_trajectory_are_intervals_or_ranges(runs):
    """One pair of runs has intervals; several have a range."""
    found = cv.trajectory(
        {name: run(seed) for seed, name in enumerate("abc"[: runs + 1])},
        ["linear"],
        bootstrap=cv.Bootstrap(5, refits=2),
    )
    panel = cv.plot.trajectory(found).axes[0]
    part = found.isel(metric=0, against=0, layer=0)
    low, high = (part[f"r_{end}"].isel(pair=0) for end in ("low", "high"))
    if runs > 1:
        low, high = part["r"].min("pair"), part["r"].max("pair")
    corners = panel.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(low.min().item())
    assert corners[:, 1].max() == pytest.approx(high.max().item())


@pytest.mark.parametrize("bootstrap", [None, cv.Bootstrap(5, refits=2)])
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


def test_the_sheet_says_what_an_image_lacks():
    images = cv.simulate.natural_images(2)
    sizes = [image[:size, :size] for image, size in zip(images, (24, 20), strict=True)]
    stimuli = cv.Stimuli.from_arrays(sizes, ["a.png", "b.png"])
    found = texts(cv.plot.distortions(stimuli))
    assert "needs images\nof one size" in found
    assert "needs\ncolours" not in found
    with pytest.raises(cv.InputError, match=r"no stimulus 'c\.png'"):
        cv.plot.distortions(stimuli, "c.png")
