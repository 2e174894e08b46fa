"""Figures in a page: texts under the pointer, ids of their own, colours of the page, few bytes."""

import html
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import pyplot

from convergent.plot._figure import new_figure
from convergent.plot._hover import add_hover
from convergent.reports.svg import as_svg

NS = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("1")</script> & $\\frac{$'


def drawn(figure, alt="what it shows"):
    return ElementTree.fromstring(as_svg(figure, alt))


def titles(root):
    return [title.text for title in root.iter(f"{NS}title")]


def test_each_point_of_a_curve_has_its_text():
    figure = new_figure(3, 2)
    (line,) = figure.subplots().plot([0, 1, 2, 3], [1, np.nan, 3, 2], "o-")
    add_hover(line, ["a", "not drawn", HOSTILE, "d"])
    root = drawn(figure)
    assert titles(root) == ["a", HOSTILE, "d"]
    for group in root.iter(f"{NS}g"):
        if group.get("class") == "hover":
            title, dot, reach = group
            assert (title.tag, dot.tag, reach.tag) == (f"{NS}title", f"{NS}use", f"{NS}circle")
            assert (dot.get("x"), dot.get("y")) == (reach.get("cx"), reach.get("cy"))
    assert line.get_gid() is None
    assert titles(drawn(figure)) == ["a", HOSTILE, "d"]  # once more


def test_dots_and_bars_and_whole_curves_have_texts():
    figure = new_figure(3, 2)
    panel = figure.subplots()
    add_hover(panel.scatter([0, 1, np.nan], [1, 2, 3]), ["one", "two", "not drawn"])
    for bar in panel.bar([3, 4], [1, 2]):
        add_hover(bar, f"bar of {bar.get_height():g}")
    add_hover(panel.plot([0, 5], [0, 3])[0], "a curve")
    assert sorted(titles(drawn(figure))) == ["a curve", "bar of 1", "bar of 2", "one", "two"]


def test_points_beyond_the_panel_do_not_shift_the_texts():
    figure = new_figure(3, 2)
    panel = figure.subplots()
    add_hover(panel.plot([0, 1, 2], [0, 1, 1e6], "o")[0], ["a", "b", "far away"])
    panel.set_ylim(0, 2)
    found = titles(drawn(figure))
    assert found in (["a", "b", "far away"], ["a\nb\nfar away"])


def test_a_figure_says_what_it_shows_in_real_text():
    figure = new_figure(3, 2)
    figure.subplots().set_title(HOSTILE, parse_math=False)
    text = as_svg(figure, HOSTILE)
    root = ElementTree.fromstring(text)
    assert (root.get("role"), root.get("aria-label")) == ("img", HOSTILE)
    assert HOSTILE in [one.text for one in root.iter(f"{NS}text")]
    assert "<script" not in text
    assert html.escape(HOSTILE, quote=False) in text
    assert "<metadata" not in text
    assert "<style" not in text  # it would hold for the whole page


def test_ids_of_several_figures_differ_and_are_found():
    one, other = new_figure(3, 2), new_figure(3, 2)
    one.subplots().plot([0, 1], "o")
    other.subplots().plot([0, 2, 1], "o")
    ids, used = [], []
    for root in (drawn(one), drawn(other)):
        ids += [element.get("id") for element in root.iter() if element.get("id")]
        used += [element.get("{http://www.w3.org/1999/xlink}href") for element in root.iter()]
        used += [str(element.get("clip-path"))[4:-1] for element in root.iter()]
    assert len(ids) == len(set(ids))
    assert {one[1:] for one in used if one and one.startswith("#")} <= set(ids)


def test_greys_are_the_colours_of_the_page_and_others_are_kept():
    figure = new_figure(3, 2)
    panel = figure.subplots()
    panel.plot([0, 1], color="black", label="ink")
    panel.plot([0, 1], color="0.8")
    panel.plot([0, 1], color="#0072B2")
    text = as_svg(figure, "")
    assert "stroke: var(--ink)" in text
    assert "color-mix(in srgb, var(--ink) 20%, var(--paper))" in text
    assert "#0072b2" in text.lower()
    assert "#000000" not in text


def test_images_keep_white_paper():
    figure = new_figure(3, 2)
    figure.subplots().imshow(np.eye(3))
    root = drawn(figure)
    assert root.get("class") == "paper"
    assert "var(--ink)" not in ElementTree.tostring(root, encoding="unicode")


def test_clouds_of_thousands_of_dots_stay_small():
    figure = new_figure(3, 2)
    left, right = figure.subplots(1, 2)
    left.scatter(*np.random.default_rng(0).standard_normal((2, 20_000)), s=2)
    right.plot(*np.random.default_rng(0).standard_normal((2, 20_000)), ".")
    assert len(as_svg(figure, "")) < 200_000


@pytest.mark.filterwarnings("ignore:Glyph")
def test_what_no_svg_can_hold_becomes_an_image():
    figure = new_figure(3, 2)
    figure.subplots().set_title("a\x01b")
    text = as_svg(figure, HOSTILE)
    assert text.startswith("<img ")
    assert "<script" not in text


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")
