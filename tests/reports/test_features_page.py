"""The page of features holds claims, tables and figures, escapes names and needs no other file."""

import html
import re
from xml.etree import ElementTree

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
    cells = [html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page)]
    for row in found.claims.to_dict("records"):
        assert set(row.values()) <= set(cells)
    for row in found.table("matches").to_dict("records"):
        assert {f"{row[name]:.3f}" for name in ("semi", "bipartite", "shared")} <= set(cells)
    assert "60 stimuli" in page


def test_columns_and_rows_have_names_in_words(page):
    heads = re.findall(r'<th scope="(?:col|row)"[^>]*>(?:<button[^>]*>)?(.*?)</', page)
    assert "r, best partner" in heads
    assert not [head for head in heads if "_" in head or head in {"semi", "bipartite"}]


def test_it_holds_an_overview_and_the_figures_of_each_layer(page, found):
    names = [html.unescape(name) for name in re.findall(r'<svg[^>]* aria-label="([^"]*)"', page)]
    figures = cv.plot.layer_figures(found, HOSTILE)
    expected = [f"{name.replace('-', ' ')} of {HOSTILE}" for name in figures]
    assert names[0].startswith("overview of all layers")
    assert names[1:] == expected
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


def test_the_overview_holds_its_numbers_under_the_pointer(page, found):
    overview = ElementTree.fromstring(re.search(r"<svg.*?</svg>", page, re.DOTALL)[0])
    titles = [title.text for title in overview.iter("{http://www.w3.org/2000/svg}title")]
    assert f"shared, layer 1: {float(found.layers['shared'][0]):.0%}" in titles
    assert [text for text in titles if f"{float(found.layers['canonical'][0]):.3g}" in text]


def test_figures_of_images_keep_white_paper_and_others_take_the_colours_of_the_page(page):
    svgs = dict(re.findall(r'(<svg[^>]* aria-label="([\w ]*) of.*?</svg>)', page, re.DOTALL))
    kinds = {name: 'class="paper"' in svg for svg, name in svgs.items()}
    assert kinds["correlation matrices"]
    assert not kinds["activation spectra"]
    for svg, name in svgs.items():
        assert ("var(--ink)" in svg) != kinds[name]


def test_it_needs_no_other_file(page):
    assert not re.search(r"<(link|iframe|object|embed|base|form)\b", page)
    assert page.count("<script>") == 1
    addresses = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert all(one.startswith(("#", "data:image/png")) for one in addresses)


def test_it_escapes_names_and_title(page):
    assert "<b>x</b>" not in page
    headings = re.findall(r"<(?:title|h1|h2[^>]*)>(.*?)</", page)
    assert [html.unescape(heading) for heading in headings].count(HOSTILE) == 3


def test_it_is_well_formed(page):
    for tag in ("html", "head", "body", "table", "h1", "h2", "section", "svg", "details"):
        assert len(re.findall(rf"<{tag}\b", page)) == page.count(f"</{tag}>") >= 1
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "{%" not in page


def test_figures_that_are_drawn_already_are_taken(found, tmp_path):
    figures = {HOSTILE: {"mine": cv.plot.locality(found.steps[HOSTILE]["locality"])}}
    text = cv.report(found, tmp_path / "page.html", figures=figures).read_text()
    assert text.count("<svg") == 2
    assert 'aria-label="mine of ' in text
