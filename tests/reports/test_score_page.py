"""The page of a score holds the numbers of the table, escapes names and needs no other file."""

import html
import json
import re
from functools import partial

import pytest
from cases import recording

import convergent as cv

STIMULI = [f"{i:02d}.png" for i in range(40)]

assembly = partial(recording, stimuli=STIMULI)
SOURCES = {"early": assembly(6, seed=1), "late": assembly(8, seed=2)}
TARGETS = {"A": assembly(5, 4, seed=3)}


def score(sources=SOURCES, targets=TARGETS, **options):
    return cv.score(sources, targets, ["linear", "procrustes"], folds=cv.Folds(3), **options)


HOSTILE = '<b>x</b> & --> <script> "{{ 7 * 7 }}" [/b]'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    hostile = score({HOSTILE: SOURCES["early"], "late": SOURCES["late"]}, {HOSTILE: TARGETS["A"]})
    assert cv.report(hostile, path) == path
    return hostile, path.read_text(encoding="utf-8")


def test_page_holds_the_numbers_of_the_table(page):
    scores, text = page
    cells = re.findall(r"<td>(.*?)</td>", text)
    for row in cv.summary(scores).to_dict("records"):
        for column in ("r", "ceiling", "normalized", "explained_variance"):
            assert f"{row[column]:.3f}" in cells
        assert html.escape(row["source"], quote=False) in cells
        assert {"5", "40"} <= set(cells)


def test_page_needs_no_other_file(page):
    _, text = page
    assert "<svg" in text
    assert not re.search(r"<(script|link|img|iframe|object)\b", text)
    assert re.findall(r'(?:href|src)="([^#"][^"]*)"', text) == []
    assert re.findall(r"url\((?!#)[^)]*\)", text) == []


def test_page_escapes_names(page):
    _, text = page
    assert "<b>x</b>" not in text
    assert "<script>" not in text
    assert html.escape(HOSTILE, quote=False) in text
    assert all("-->" not in inside for inside in re.findall(r"<!--(.*?)-->", text, re.DOTALL))


def test_page_is_well_formed(page):
    _, text = page
    for tag in ("html", "body", "svg", "table", "pre"):
        assert text.count(f"<{tag}") == text.count(f"</{tag}>") >= 1
    assert text.startswith("<!doctype html>")
    assert "{%" not in text


def test_page_says_how_to_do_it_again(page):
    _, text = page
    provenance = html.unescape(re.search(r"<pre>(.*)</pre>", text, re.DOTALL)[1])
    for word in (
        '"seed": 0',
        '"ceiling": "split-half"',
        '"versions"',
        '"sha256"',
        json.dumps(HOSTILE),
    ):
        assert word in provenance


def test_page_of_simulated_data_says_so(tmp_path):
    simulated = score(targets=assembly(5, 3, simulated=True, name="A"))
    assert "<h1>Scores on simulated data</h1>" in cv.report(simulated, tmp_path / "a").read_text()
    above, _, _ = cv.report(score(), tmp_path / "b").read_text().partition("<pre>")
    assert "imulated" not in above


def test_page_without_unit_scores_or_ceiling(tmp_path):
    path = cv.report(score(units=False, ceiling=None), tmp_path / "new" / "report.html")
    assert "<td>NaN</td>" in path.read_text()


def test_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    scores = score()
    path = tmp_path / "report.html"
    path.write_text("before")

    def fail(self, text, **_options):
        with self.open("w") as file:
            file.write(text[: len(text) // 2])
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "write_text", fail)
        with pytest.raises(OSError, match="no space left"):
            cv.report(scores, path)
    assert path.read_text() == "before"
    cv.report(scores, path)
    assert path.read_text().endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [path]
