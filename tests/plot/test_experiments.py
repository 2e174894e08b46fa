"""Figures of hierarchies, shifts and trajectories show numbers and their labels, with room."""

import experiment_results as made
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import convergent as cv

LAYERS = made.LAYERS


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))]


def key(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def bar_of(figure):
    """Texts of the bar that names layers."""
    (bar,) = [panel for panel in figure.axes if panel.get_label() == "<colorbar>"]
    return bar


def panels_of(figure):
    return [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]


def curves(panel):
    return {line.get_label(): line.get_ydata() for line in panel.lines}


def overlaps(axis):
    """Whether labels of ticks that can be seen lie on each other."""
    boxes = [
        tick.label1.get_window_extent()
        for tick in axis.get_major_ticks()
        if tick.label1.get_visible() and tick.label1.get_text()
    ]
    lined = axis.get_major_ticks()[0].label1.get_rotation() % 90 == 0
    return lined and any(
        one.shrunk(0.9, 0.8).overlaps(other.shrunk(0.9, 0.8))
        for k, one in enumerate(boxes)
        for other in boxes[:k]
    )


def check_room(figure, least=0.8):
    """Panels have a size, names of ticks do not touch, and the figure fits on a page."""
    figure.canvas.draw()
    assert figure.get_figwidth() <= 12
    for panel in panels_of(figure):
        box = panel.get_window_extent()
        assert min(box.width, box.height) / figure.dpi >= least
        assert not overlaps(panel.xaxis)
        assert not overlaps(panel.yaxis)
        assert len(panel.get_xticks()) <= 12


RESULTS = {
    "hierarchy": made.hierarchy,
    "matched_layers": made.hierarchy,
    "shift": made.shift,
    "trajectory": made.trajectory,
    "emergence": made.trajectory,
    "depth_profiles": made.trajectory,
}


WHOLE = {"intervals": True, "controls": True}


def real(name):
    """A small result of the experiment itself, with all that it can have."""
    stimuli, rng = [f"{k:02d}" for k in range(20)], np.random.default_rng(0)

    def layers():
        return {
            layer: cv.Assembly.from_array(rng.standard_normal((20, 4)), stimuli=stimuli)
            for layer in LAYERS
        }

    both, settings = ("seed 0", "seed 1"), {"bootstrap": cv.Bootstrap(3, refits=2)}
    settings |= {"folds": cv.Folds(2), "metrics": "soft-matching"}
    if name == "hierarchy":
        source, target = layers(), layers()
        controls = {"shuffled": cv.shuffled(source), "rotated": cv.rotated(source)}
        return cv.hierarchy(source, target, controls=controls, **settings)
    keys = made.STEPS[::3] if name == "trajectory" else made.CONTRASTS[:2]
    sides = {side: {key: layers() for key in keys} for side in both}
    settings["accuracy"] = dict.fromkeys(both, dict.fromkeys(keys, 0.5))
    if name == "trajectory":
        controls = {"shuffled": cv.shuffled(sides), "rotated": cv.rotated(sides)}
        return cv.trajectory(sides, controls=controls, **settings)
    source = sides["seed 0"]
    controls = {"shuffled": cv.shuffled(source), "rotated": cv.rotated(source)}
    return cv.shift(*sides.values(), controls=controls, **settings)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["hierarchy", "shift", "trajectory"])
def test_made_up_results_are_as_real_ones(name):
    """Only then do tests of figures say anything."""
    more = {} if name == "hierarchy" else {"accuracy": True}
    fake, found = RESULTS[name](1, **WHOLE, **more), real(name)
    for variable in fake.variables:
        assert fake[variable].dims == found[variable].dims, variable
        kinds = (one[variable].dtype.kind.replace("O", "U") for one in (fake, found))
        assert len(set(kinds)) == 1, variable
    assert set(fake.attrs) <= set(found.attrs)
    if name == "hierarchy":
        assert set(found.variables) == set(fake.variables)
    getattr(cv.plot, name)(found)


@pytest.mark.parametrize(
    ("name", "metrics", "layers"),
    [*((name, 3, 24) for name in RESULTS), ("hierarchy", 1, 6), ("trajectory", 1, 6)],
)
def test_panels_have_room_with_many_layers_and_long_names(name, metrics, layers):
    found = RESULTS[name](metrics, layers=layers, **(WHOLE if metrics == 3 else {}))
    drawn = getattr(cv.plot, name)(found)
    check_room(drawn if isinstance(drawn, Figure) else drawn.figure)


@pytest.mark.parametrize(
    ("name", "width"), [("hierarchy", 3.5), ("shift", 3.5), ("trajectory", 7), ("emergence", 3.5)]
)
def test_a_figure_that_was_given_keeps_its_size(name, width):
    found = RESULTS[name](3, layers=24, **WHOLE)
    with pyplot.rc_context({"font.size": 7}):
        figure = pyplot.figure(figsize=(width, 6))
        assert getattr(cv.plot, name)(found, figure=figure) is figure
        check_room(figure, least=0.5)
    np.testing.assert_allclose(figure.get_size_inches(), (width, 6))


@pytest.mark.parametrize("name", RESULTS)
def test_one_panel_is_drawn_in_given_axes(name):
    found = RESULTS[name]()
    some = {dim: found[dim].values[:1] for dim in ("against", "map") if dim in found.dims}
    figure, (left, right) = pyplot.subplots(1, 2)
    assert getattr(cv.plot, name)(found.sel(some), ax=left) is left
    assert left.lines or left.images
    assert not right.lines
    assert not figure.get_suptitle()


@pytest.mark.parametrize("name", ["hierarchy", "shift", "trajectory", "depth_profiles"])
def test_axes_are_refused_where_several_panels_are_needed(name):
    with pytest.raises(cv.InputError, match=r"ax= is one panel, and this figure has [3-6]"):
        getattr(cv.plot, name)(RESULTS[name](3, intervals=True, controls=True), ax=pyplot.gca())


def test_labels_are_shown_in_place_of_names():
    labels = {"linear": "ridge regression", "_head": "classifier", "shuffled": "other images"}
    for name in ("hierarchy", "shift", "trajectory"):
        figure = getattr(cv.plot, name)(
            RESULTS[name](3, intervals=True, controls=True), labels=labels
        )
        assert {"ridge regression", "classifier"} <= set(texts(figure))
        assert not {"linear", "_head"} & set(texts(figure))
        if name != "hierarchy":
            assert "control: other images, mean over layers" in key(figure)


# Controls, ceiling and accuracy


def test_a_control_that_a_metric_does_not_notice_is_not_chance():
    """Rotated axes leave linear and Procrustes scores as they are (.818 and .818)."""
    for name in ("trajectory", "shift"):
        figure = getattr(cv.plot, name)(RESULTS[name](3, intervals=True, controls=True))
        for column, metric in enumerate(made.METRICS):
            for row in (0, 1):
                drawn = set(curves(panels_of(figure)[3 * row + column]))
                controls = {label for label in drawn if label.startswith("control")}
                expected = {"control: shuffled, mean over layers"}
                if metric == "soft-matching":
                    expected.add("control: rotated, mean over layers")
                assert controls == expected
        assert "rotated is not drawn for linear and procrustes" in figure.get_suptitle()


def test_controls_of_layers_at_the_same_depth():
    panel = cv.plot.matched_layers(made.hierarchy(3, intervals=True, controls=True))
    styles = [(line.get_color(), line.get_linestyle()) for line in panel.lines[:-1]]
    *_, soft = cv.plot.COLOURS[:3]
    assert {colour for colour, style in styles if style == "-."} == {soft}
    assert sum(style == ":" for _, style in styles) == 3
    assert "rotated, linear; rotated, procrustes" in panel.figure.get_suptitle().replace("\n", " ")


def test_a_trajectory_shows_layers_ceiling_controls_and_accuracy():
    found = made.trajectory(3, 2, True, True, True)
    figure = cv.plot.trajectory(found, "passes")
    assert "epochs" not in " ".join(texts(figure))
    *_, panel = panels_of(figure)
    part = found.sel(against="final", metric="soft-matching")
    drawn = curves(panel)
    for layer in LAYERS:
        np.testing.assert_allclose(drawn[f"_{layer}"], part["r"].sel(layer=layer).isel(pair=0))
    ceiling = part["ceiling"].mean(["run", "layer"])
    np.testing.assert_allclose(drawn["ceiling (with itself), mean over layers"], ceiling)
    chance = part["r_chance"].sel(chance="rotated").mean(["pair", "layer"])
    np.testing.assert_allclose(drawn["control: rotated, mean over layers"], chance)
    (correct,) = (drawn[label] for label in drawn if label.startswith("accuracy"))
    np.testing.assert_allclose(correct, part["accuracy"].isel(network=0))
    assert set(drawn) >= set(key(figure))
    assert [text.get_text() for text in bar_of(figure).get_yticklabels()] == LAYERS


@pytest.mark.parametrize("name", ["trajectory", "depth_profiles", "matched_layers", "hierarchy"])
def test_without_a_ceiling(name):
    found = RESULTS[name](1)
    if "source" in found.dims:  # NaN there
        found = found.assign(ceiling=found["ceiling"] * np.nan)
    else:
        found = found.drop_vars("ceiling")
    drawn = getattr(cv.plot, name)(found)
    figure = drawn if isinstance(drawn, Figure) else drawn.figure
    assert not any("ceiling" in text for text in texts(figure))


@pytest.mark.parametrize("runs", [2, 3])
def test_bands_of_a_trajectory_are_intervals_or_ranges(runs):
    """One pair of runs has intervals; several have a range."""
    found = made.trajectory(1, runs, intervals=True)
    figure = cv.plot.trajectory(found)
    part = found.isel(metric=0, against=0, layer=0)
    low, high = (part[f"r_{end}"].isel(pair=0) for end in ("low", "high"))
    words = "bands: 95% interval"
    if runs > 2:
        low, high, words = part["r"].min("pair"), part["r"].max("pair"), "range of the pairs"
    assert words in figure.get_suptitle().replace("\n", " ")
    corners = figure.axes[0].collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(low.min().item())
    assert corners[:, 1].max() == pytest.approx(high.max().item())


def test_the_axis_of_steps_says_its_scale():
    panel = cv.plot.trajectory(made.trajectory(1)).axes[-2]
    assert panel.get_xscale() == "symlog"
    assert "linear to 1, then logarithmic" in panel.get_xlabel().replace("\n", " ")
    ticks = [text.get_text() for text in panel.get_xticklabels()]
    assert ticks[0] == "0"
    assert {"1", "12"} <= set(ticks)
    short = cv.plot.trajectory(made.trajectory(1, steps=(0.0, 1.0, 3.0))).axes[-2]
    assert short.get_xscale() == "linear"
    assert "logarithmic" not in short.get_xlabel()


def test_emergence_is_the_share_of_the_growth():
    found = made.trajectory(3, 2, True, True, True)
    for panel, against in zip(cv.plot.emergence(found).axes, ("same step", "final"), strict=True):
        r = found["r"].sel(against=against, metric="linear").mean("layer").isel(pair=0)
        share = (r - r[0]) / (r[-1] - r[0])
        drawn = curves(panel)
        np.testing.assert_allclose(drawn["linear"], share)
        early = drawn["linear"][list(made.STEPS).index(1.0)]
        known = found["share_overall"].sel(against=against, metric="linear")
        assert early == pytest.approx(known.item())
        np.testing.assert_allclose(drawn["accuracy"], (np.linspace(0, 1, len(made.STEPS))))


def test_a_metric_without_growth_has_no_share():
    found = made.trajectory(3, 2, True, True, True)
    found = found.assign(share_overall=found["share_overall"].where(found["metric"] != "linear"))
    figure = cv.plot.emergence(found)
    assert not any("linear" in curves(panel) for panel in figure.axes)
    assert "linear, at the same step" in figure.get_suptitle().replace("\n", " ")


def test_profiles_over_depth():
    found = made.trajectory(1, 2, True)
    panel = cv.plot.depth_profiles(found, steps=[0.5, 12]).axes[0]
    drawn = curves(panel)
    for step in (0.5, 12):
        r = found["r"].sel(step=step).isel(metric=0, against=0, pair=0)
        np.testing.assert_allclose(drawn[f"epoch {step:g}"], r)
    assert "epoch 1" in curves(cv.plot.depth_profiles(found).axes[0])
    with pytest.raises(cv.InputError, match=r"steps are \[3\.0\], and the result has"):
        cv.plot.depth_profiles(found, steps=[3])


# Levels


@pytest.mark.parametrize("value", ["share", "r"])
def test_a_shift_shows_scores_accuracy_and_controls(value):
    found = made.shift(3, True, True, True)
    figure = cv.plot.shift(found, "contrast (%)", value=value)
    part = found.sel(metric="soft-matching", map="transferred")
    drawn = curves(panels_of(figure)[2])
    control, r = part["r_control"], part["r"]
    whole = control.isel(layer=0) if value == "share" else 1
    line = [control.isel(layer=0), *r.isel(layer=0).values]
    np.testing.assert_allclose(drawn[f"_{LAYERS[0]}"], np.array(line) / float(whole))
    whole = float(control.mean()) if value == "share" else 1
    chance = part["r_chance"].sel(chance="rotated").mean("layer") / whole
    np.testing.assert_allclose(drawn["control: rotated, mean over layers"][1:], chance)
    (correct,) = (drawn[label] for label in drawn if label.startswith("accuracy"))
    expected = np.linspace(0.9, 0.1, len(made.CONTRASTS)) / (0.9 if value == "share" else 1)
    np.testing.assert_allclose(correct, expected)
    with pytest.raises(cv.InputError, match="'ratio'"):
        cv.plot.shift(found, value="ratio")


@pytest.mark.parametrize(
    ("levels", "scale", "places", "inverted"),
    [
        ((100, 50, 30, 10, 3, 1), "log", (100, 50, 30, 10, 3, 1), True),
        ((0, 30, 60, 90), "linear", (0, 30, 60, 90), False),
        ((0, 1, 5, 40), "symlog", (0, 1, 5, 40), False),
        ((float("inf"), 3, 1.5, 0.7, 0.4), "log", (6, 3, 1.5, 0.7, 0.4), True),
        (("photo", "sketch"), "linear", (0, 1), False),
        ((2, "10", 3), "linear", (0, 1, 2), False),  # in no order
    ],
)
def test_levels_stand_at_their_places(levels, scale, places, inverted):
    figure = cv.plot.shift(made.shift(1, levels=levels), "kind of picture")
    panel = panels_of(figure)[-1]
    assert panel.get_xscale() == scale
    np.testing.assert_allclose(panel.lines[0].get_xdata(), places)
    assert panel.xaxis_inverted() == inverted
    ticks = [text.get_text() for text in panel.get_xticklabels()]
    assert ticks[0] == str(levels[0])
    assert ("logarithmic" in panel.get_xlabel()) == ("log" in scale)
    assert panel.get_xlabel().startswith("kind of picture")


# Hierarchies


@pytest.mark.parametrize("intervals", [False, True])
def test_a_hierarchy_marks_the_counterparts(intervals):
    found = made.hierarchy(1, intervals)
    figure = cv.plot.hierarchy(found)
    assert set(LAYERS) <= set(texts(figure))
    (dots,) = figure.axes[0].collections
    partner = [LAYERS.index(name) for name in found["partner_of_target"].values[0]]
    np.testing.assert_array_equal(dots.get_offsets(), np.stack([range(3), partner], axis=1))
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), found["r"].values[0])
    assert any(text.startswith("rank correlation") for text in texts(figure))


def test_a_hierarchy_has_one_scale_of_colours():
    found = made.hierarchy(3, layers=24, **WHOLE)
    figure = cv.plot.hierarchy(found)
    assert len(figure.axes) == 7  # one bar
    limits = {panel.images[0].get_clim() for panel in figure.axes if panel.images}
    assert limits == {(found["r"].min().item(), found["r"].max().item())}
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [str(k) for k in range(0, 24, 2)]
    assert "module.encoder.layers.*.self_attention.out_proj" in " ".join(texts(figure))


def test_layers_at_the_same_depth_are_those_nearest():
    found = made.hierarchy(1).isel(source=[0, 2])
    found = found.assign_coords(source_depth=("source", [0.0, 1.0]))
    panel = cv.plot.matched_layers(found)
    r = found["r"].values[0][[0, 0, 1], [0, 1, 2]]
    np.testing.assert_allclose(curves(panel)["linear"], r)


def test_the_sheet_shows_every_level_of_every_distortion():
    images = cv.simulate.natural_images(2)
    stimuli = cv.Stimuli.from_arrays([image[:48, :48] for image in images], ["a.png", "b.png"])
    figure = cv.plot.distortions(stimuli, "b.png")
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == sum(len(each.levels) for each in cv.DISTORTIONS.values())
    np.testing.assert_array_equal(shown[0], np.asarray(stimuli["b.png"]))
    labels = [text.split("\n")[0] for text in texts(figure)]
    for name in cv.DISTORTIONS:  # a unit that begins with the name says it already
        assert any(label.startswith(name) for label in labels)
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
