"""Figures show names as they are, whatever they hold, and keep room for the data."""

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text

import convergent as cv

NAMES = ["[/b]", r"$\frac{$", "_hidden", "x" * 10_000, "a\x1b[31m\u202eb", "層🧠é", "</script>", ""]
SEEN = [
    *("[/b]", r"$\frac{$", "_hidden", "xxxxxxxxxxxxx...xxxxxxxxxxxx", r"a\x1b[31m\u202eb"),
    *(r"\u5c64\U0001f9e0é", "</script>", "''"),
]
FEW = NAMES[1:4]


def population(seed):
    shared, own = np.random.default_rng(0), np.random.default_rng([1, seed])
    values = shared.standard_normal((30, 4)) + own.standard_normal((30, 4))
    units = [f"{name}{i}" for i, name in enumerate(NAMES[:4])]
    return cv.Assembly.from_array(values, stimuli=[f"{i:02d}" for i in range(30)], units=units)


@pytest.fixture(scope="module")
def layers():
    return {name: population(seed) for seed, name in enumerate(NAMES)}


def draws(figure, folder):
    """Draw a figure, whose parts must have room; return the texts that are seen in it."""
    figure.savefig(folder / "drawn.svg")
    ElementTree.parse(folder / "drawn.svg")  # that it is well formed
    seen = [text for text in figure.findobj(Text) if text.get_visible()]
    assert not any(text.get_parse_math() for text in seen if "frac" in text.get_text())
    return [text.get_text() for text in seen]


@pytest.fixture(scope="module")
def scores(layers):
    target = {name: population(9) for name in NAMES[:2]}
    metrics = {"_own $\\frac{$": cv.Linear(), "": cv.Procrustes()}
    return cv.score(layers, target, metrics, folds=cv.Folds(2), ceiling=None, units=False)


def test_scores(scores, tmp_path):
    figure = cv.plot.scores(scores)
    texts = draws(figure, tmp_path)
    panel = figure.axes[0]
    assert [text.get_text() for text in panel.get_xticklabels()] == SEEN
    assert panel.get_title() == "[/b]: 4 units"
    legend = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert legend == ["_own $\\frac{$", "''"]
    assert max(map(len, texts)) < 200


@pytest.mark.parametrize("which", ["units", "networks", "differences", "pair", "layers", "both"])
def test_other_figures_of_scores(layers, which, tmp_path):
    few = {name: layers[name] for name in FEW}
    if which in ("pair", "layers", "both"):
        first, second = few if which != "pair" else FEW[:1], few if which == "both" else FEW[:1]
        sides = ({name: layers[name] for name in side} for side in (first, second))
        figure = cv.plot.compare(cv.compare(*sides, folds=cv.Folds(2), references="cka"))
    else:
        options = {"bootstrap": cv.Bootstrap(9, refits=2)} if which == "differences" else {}
        target = {FEW[0]: layers[FEW[0]]}
        result = cv.score(few, target, "linear", folds=cv.Folds(2), ceiling=None, **options)
        result = dict.fromkeys(FEW, result) if which == "networks" else result
        figure = getattr(cv.plot, which)(result)
    texts = draws(figure, tmp_path)
    assert any(r"$\frac{$" in text for text in texts)
    assert max(map(len, texts)) < 300


def test_the_page_of_scores(scores, tmp_path):
    page = cv.report(scores, tmp_path / "page.html", title="<b>\x1b").read_text(encoding="utf-8")
    assert page.count("<script") == 1  # that of the page
    assert "<b>\\x1b" not in page
    assert not set(page) & set("\x1b\u202e")
    for name in ("[/b]", r"$\frac{$", "_hidden", "層🧠é", "&lt;/script&gt;", "a\\x1b[31m\\u202eb"):
        assert f">{name}<" in page
    shown, _, provenance = page.partition("<pre")
    assert "x" * 200 not in shown
    assert "x" * 10_000 in provenance


def test_a_hierarchy_and_a_shift(layers, tmp_path):
    few = {name: layers[name] for name in FEW}
    figure = cv.plot.hierarchy(cv.hierarchy(few, few, "linear", folds=cv.Folds(2)))
    draws(figure, tmp_path)
    for labels in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
        assert [text.get_text() for text in labels] == SEEN[1:4]
    side = dict.fromkeys(NAMES[:4], few)
    found = cv.shift(side, side, "linear", folds=cv.Folds(2))
    figure = cv.plot.shift(found, r"$\frac{$")
    assert r"$\frac{$" in draws(figure, tmp_path)
    *panels, bar = figure.axes
    assert [text.get_text() for text in panels[-1].get_xticklabels()][:3] == NAMES[:3]
    *names, long = [text.get_text() for text in bar.get_yticklabels()]
    assert names == SEEN[1:3]
    assert long.startswith("xxx")
    assert "..." in long


@pytest.mark.slow
def test_single_units(layers, tmp_path):
    few = {name: layers[name] for name in FEW[:2]}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no correlation between")
        found = cv.features.overview(
            few,
            layers[NAMES[3]],
            folds=cv.Folds(3),
            shuffle=cv.Shuffle(2),
            bootstrap=cv.Bootstrap(20, refits=3),
            rotations=2,
        )
    figures = [cv.plot.overview(found), *cv.plot.layer_figures(found, FEW[0]).values()]
    for figure in figures:
        draws(figure, tmp_path)
    page = cv.report(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert r">$\frac{$</h2>" in page


def test_long_names_that_begin_alike_are_told_apart(layers):
    blocks = [f"module.encoder.layers.{k}.self_attention.out_proj" for k in (1, 11)]
    two = dict(zip(blocks, layers.values(), strict=False))
    figure = cv.plot.scores(cv.score(two, layers["[/b]"], "linear", ceiling=None, units=False))
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert len(set(labels)) == 2
    assert labels == ["1", "11"]


def test_an_assembly_in_a_notebook():
    one = cv.Assembly.from_array(np.ones((2, 2)), stimuli=["\x1b[2J", "<b>"], name="x" * 10_000)
    for text in (repr(one), one._repr_html_()):
        assert "\x1b" not in text
        assert "<b>\x1b" not in text
        assert r"\x1b[2J" in text
        assert len(text) < 1_500
