"""Pages in a real browser: sorted by pointer and keyboard, hovered, printed, narrow and dark."""

import re
from functools import partial

import pytest
from cases import recording
from chromium import BROWSER, Browser

import convergent as cv

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="there is no chromium: apt-get install chromium"
)

LONG = "module.encoder.layers.{}.self_attention.out_proj"
assembly = partial(recording, stimuli=[f"{i:02d}.png" for i in range(40)])


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Page of scores with all of its sections."""
    sources = {LONG.format(k): assembly(6, seed=k) for k in (9, 10, 11)}
    targets = {name: assembly(5, 4, seed=9) for name in ("V4", "IT")}
    settings = {"folds": cv.Folds(3), "progress": False}
    resampled = {"bootstrap": cv.Bootstrap(20, refits=3), "shuffle": cv.Shuffle(9)}
    scores = cv.score(sources, targets, ["linear", "procrustes"], **settings, **resampled)
    control = cv.score(cv.shuffled(sources), targets, ["linear", "procrustes"], **settings)
    folder = tmp_path_factory.mktemp("page")
    return cv.report(scores, folder / "report.html", controls=[control])


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Page of features, with a few of its figures."""
    one, other = cv.simulate.convergent_pair(60, 5, shares=(0.6, 0.4, 0), block=4, private=1)
    few = {"shuffle": cv.Shuffle(2), "bootstrap": cv.Bootstrap(10), "rotations": 2}
    found = cv.features.overview({"layer1": one}, {"layer1": other}, progress=False, **few)
    step = found.steps["layer1"]
    figures = {
        "layer1": {
            "matches": cv.plot.matches(step["matches"]),
            "correlation-matrices": cv.plot.correlation_matrices(step["correlations"]),
        }
    }
    folder = tmp_path_factory.mktemp("features")
    return cv.report(found, folder / "overview.html", figures=figures)


COLUMN = """
    [...document.querySelectorAll('#table table.sortable tbody tr')].map(
        (row) => row.cells[{}].textContent.trim())
"""
SORTED = "document.querySelectorAll('#table table.sortable th')[{}].getAttribute('aria-sort')"


def test_a_click_sorts_the_table_and_a_second_one_turns_it_around(browser, page):
    browser.open(page)
    before = browser.js(COLUMN.format(3))
    browser.click("#table table.sortable th button", 3)
    found = [float(text) for text in browser.js(COLUMN.format(3))]
    assert found == sorted(map(float, before), reverse=True)
    assert browser.js(SORTED.format(3)) == "descending"
    browser.click("#table table.sortable th button", 3)
    assert [float(text) for text in browser.js(COLUMN.format(3))] == sorted(found)
    assert browser.js(SORTED.format(3)) == "ascending"
    assert "ascending" in browser.js("document.getElementById('said').textContent")
    assert browser.errors() == []


def test_the_keyboard_sorts_names_as_people_count(browser, page):
    browser.open(page)
    browser.js("document.querySelector('#table table.sortable th button').focus()")
    browser.press_enter()
    numbers = [int(re.search(r"\.(\d+)\.", text)[1]) for text in browser.js(COLUMN.format(0))]
    assert numbers == sorted(numbers)
    assert numbers[0] == 9
    assert browser.js(SORTED.format(0)) == "ascending"
    browser.press_enter()
    assert browser.js(COLUMN.format(0))[0] == LONG.format(11)
    assert browser.errors() == []


UNDER = """
    (() => { const texts = [];
    for (let e of document.querySelectorAll(':hover')) {
        const title = [...e.children].find((child) => child.tagName === 'title');
        if (title) texts.push(title.textContent);
    }
    return texts.join(' '); })()
"""


def test_the_pointer_over_a_dot_shows_its_score(browser, page):
    browser.open(page)
    browser.hover("#figures svg .hover", 1)
    said = browser.js(UNDER)
    assert re.search(r"-?0\.\d\d", said)
    assert "out_proj" in said


def test_the_pointer_over_a_head_explains_the_column(browser, page):
    browser.open(page)
    title = "document.querySelectorAll('#table table.sortable th button')[3].title"
    assert "median over units" in browser.js(title)


def test_code_can_be_copied(browser, page):
    browser.open(page)
    browser.js("document.querySelector('#again .copy').scrollIntoView()")
    browser.click("#again .copy")
    said = "document.getElementById('said').textContent"
    browser.js("new Promise((done) => setTimeout(done, 100))")
    assert browser.js(said) in {"copied", "selected"}
    assert browser.errors() == []


@pytest.mark.parametrize(("which", "width"), [("page", 400), ("page", 1200), ("features", 400)])
def test_nothing_is_cut_asked_for_or_complained_of(browser, request, which, width):
    browser.open(request.getfixturevalue(which), width=width)
    wide, seen = browser.js(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= seen == width
    beyond = """
        [...document.querySelectorAll('h1, h2, p, dd, dt, pre, nav, table, svg, .copy')].filter(
            (e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll')
        ).map((e) => e.outerHTML.slice(0, 80))
    """
    assert browser.js(beyond) == []
    assert browser.errors() == []
    assert browser.requests() == []


# the least contrast (WCAG 2) of texts that are seen, and the text that has it
CONTRAST = """
(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    function rgba(colour) {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return canvas.getImageData(0, 0, 1, 1).data;
    }
    function light(colour) {
        const [r, g, b] = [...rgba(colour)].slice(0, 3).map((value) => {
            const c = value / 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }
    function ground(e) {
        for (; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (rgba(colour)[3] > 250) return colour;
        }
        return 'white';
    }
    let least = [99, ''];
    for (const e of document.querySelectorAll('h1, h2, p, dd, dt, th, td, small, a, summary, '
            + 'code, button, figcaption, svg text')) {
        const style = getComputedStyle(e);
        const colour = e.ownerSVGElement ? style.fill : style.color;
        const pair = [light(colour), light(ground(e))].sort((a, b) => b - a);
        const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
        if (e.textContent.trim() && ratio < least[0]) least = [ratio, e.outerHTML.slice(0, 200)];
    }
    return least;
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_is_legible(browser, page, dark):
    browser.open(page, dark=dark)
    ratio, text = browser.js(CONTRAST)
    assert ratio >= 4.5, text
    luminous = browser.js("getComputedStyle(document.body).backgroundColor")
    assert luminous == ("rgb(23, 24, 28)" if dark else "rgb(255, 255, 255)")


def test_print_holds_all_sections_and_what_is_folded(browser, page):
    browser.open(page, dark=True)
    titles = browser.js("[...document.querySelectorAll('h2')].map((e) => e.textContent)")
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    outline = re.findall(rb"/Title ?\(([^)]*)\)", printed)
    assert {title.encode() for title in titles} <= set(outline)
    assert len(titles) == 9
    browser.do("Emulation.setEmulatedMedia", media="print")
    assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.js("getComputedStyle(document.querySelector('.copy')).display") == "none"
    opened = "(dispatchEvent(new Event('beforeprint')), [...document.querySelectorAll('details')])"
    assert browser.js(f"{opened}.every((e) => e.open)")
    browser.do("Emulation.setEmulatedMedia", media="")


def test_pages_go_on_without_their_script(browser, page, tmp_path):
    changed = page.read_text().replace("say(`sorted", "say(`changed")
    (tmp_path / "changed.html").write_text(changed)
    browser.open(tmp_path / "changed.html")
    assert "Content Security Policy" in " ".join(browser.errors())  # it is not run
    assert len(browser.js(COLUMN.format(3))) == 12
