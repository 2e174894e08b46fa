"""The page of features holds claims, tables and figures, escapes names and needs no other file."""

import base64
import html
import re

import pytest

import convergent as cv

HOSTILE = '<b>x</b> & --> <script> "{{ 7 * 7 }}" [/b] $\\frac$'


@pytest.fixture(scope="module")
def found():
    one, other = cv.simulate.convergent_pair(60, 5, shares=(0.6, 0.4, 0), block=4, private=1)
    few = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(10), "rotations": 2}
    named = [cv.Assembly(side.data.rename(HOSTILE)) for side in (one, other)]
    return cv.features.overview({HOSTILE: named[0]}, {HOSTILE: named[1]}, progress=False, **few)


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "overview.html"
    assert cv.report(found, path, title=HOSTILE) == path
    return path.read_text(encoding="utf-8")


def test_it_holds_the_claims_and_the_numbers_of_each_layer(page, found):
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page)]
    for row in found.claims.to_dict("records"):
        assert set(row.values()) <= set(cells)
    for row in found.table("matches").to_dict("records"):
        assert {f"{row[name]:.3f}" for name in ("semi", "bipartite", "shared")} <= set(cells)
    assert "60 stimuli" in page


def test_it_holds_an_overview_and_the_figures_of_each_layer(page, found):
    images = re.findall(r'<img src="data:image/png;base64,([^"]*)" alt="([^"]*)">', page)
    names = [html.unescape(name) for _, name in images]
    expected = [f"{name} of {HOSTILE}" for name in cv.plot.layer_figures(found, HOSTILE)]
    assert names == ["overview of all layers", *expected]
    for data, _ in images:
        assert base64.b64decode(data).startswith(b"\x89PNG")


def test_it_needs_no_other_file(page):
    assert not re.search(r"<(script|link|iframe|object)\b", page)
    assert all(source.startswith("data:") for source in re.findall(r'(?:href|src)="([^"]*)"', page))


def test_it_escapes_names_and_title(page):
    assert "<b>x</b>" not in page
    headings = re.findall(r"<(?:title|h1|h2)>(.*?)</", page)
    assert [html.unescape(heading) for heading in headings] == [HOSTILE] * 3


def test_it_is_well_formed(page):
    for tag in ("html", "head", "body", "table", "h1", "h2"):
        assert len(re.findall(rf"<{tag}\b", page)) == page.count(f"</{tag}>") >= 1
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "{%" not in page


def test_figures_that_are_drawn_already_are_taken(found, tmp_path):
    figures = {HOSTILE: {"mine": cv.plot.locality(found.steps[HOSTILE]["locality"])}}
    text = cv.report(found, tmp_path / "page.html", figures=figures).read_text()
    assert text.count("data:image/png") == 2
    assert 'alt="mine of ' in text
