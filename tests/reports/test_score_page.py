"""The page of a score holds the numbers of the table, escapes names and needs no other file."""

import base64
import hashlib
import html
import json
import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cases import recording

import convergent as cv
from convergent.reports.methods import methods
from convergent.reports.origin import Origin
from convergent.statistics.ceilings import CEILING_WORDS

STIMULI = [f"{i:02d}.png" for i in range(40)]
SVG = "{http://www.w3.org/2000/svg}"
SCRIPT = Path(cv.__file__).parent / "reports" / "templates" / "page.js"

assembly = partial(recording, stimuli=STIMULI)
SOURCES = {"early": assembly(6, seed=1), "late": assembly(8, seed=2)}
TARGETS = {"A": assembly(5, 4, seed=3)}
METRICS = ("linear", "procrustes")


def score(sources=SOURCES, targets=TARGETS, metrics=METRICS, **options):
    return cv.score(sources, targets, list(metrics), folds=cv.Folds(3), **options)


HOSTILE = '<b>x</b> & --> <script> "{{ 7 * 7 }}" [/b]'
RESAMPLED = {"bootstrap": cv.Bootstrap(20, refits=3), "shuffle": cv.Shuffle(9)}


def page_of(result, folder, **options):
    return cv.report(result, folder / "page.html", **options).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    hostile = score({HOSTILE: SOURCES["early"], "late": SOURCES["late"]}, {HOSTILE: TARGETS["A"]})
    assert cv.report(hostile, path) == path
    return hostile, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole():
    """Scores with everything that a page can show."""
    return score(**RESAMPLED)


@pytest.fixture(scope="module")
def plain():
    """Scores by one metric, without a bootstrap."""
    return score(metrics=["linear"])


@pytest.fixture(scope="module")
def whole_page(whole, tmp_path_factory):
    """The page of these scores and a control."""
    controls = [score(cv.shuffled(SOURCES), units=False)]
    return page_of(whole, tmp_path_factory.mktemp("whole"), controls=controls)


def text_of(page):
    """Words of a page, without tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def sections(page):
    return dict(re.findall(r'<section id="([\w-]+)".*?>(.*?)</section>', page, re.DOTALL))


def test_page_holds_the_numbers_of_the_table(page):
    scores, text = page
    cells = re.findall(r"<td[^>]*>(.*?)(?:<small>|</td>)", text)
    for row in cv.summary(scores).to_dict("records"):
        for column in ("r", "ceiling", "normalized", "explained_variance"):
            assert f"{row[column]:.3f}" in cells
        assert {"5", "40"} <= set(cells)
    names = re.findall(r'<th scope="row">(.*?)</th>', text)
    assert str(html.escape(HOSTILE)).replace("&quot;", "&#34;") in names


def test_page_needs_no_other_file(page):
    _, text = page
    assert "<svg" in text
    assert not re.search(r"<(link|iframe|object|embed|base|form)\b", text)
    assert all(one.startswith("#") for one in re.findall(r'(?:href|src)="([^"]*)"', text))
    assert re.findall(r"url\((?!#)[^)]*\)", text) == []
    assert "@import" not in text


def test_only_the_script_of_the_page_may_run(page):
    _, text = page
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script == SCRIPT.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_page_escapes_names(page):
    _, text = page
    assert "<b>x</b>" not in text
    assert text.count("<script>") == 1
    assert HOSTILE in text_of(text.replace("<small>", " "))
    assert all("-->" not in inside for inside in re.findall(r"<!--(.*?)-->", text, re.DOTALL))


class _Balanced(HTMLParser):
    """Follows the tags of a page, of which all but a few must be closed."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.ids = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in {"meta", "wbr", "img", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, _tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed(page):
    _, text = page
    tags = _Balanced()
    tags.feed(text)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert "{%" not in text
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)


def test_figures_hold_real_text_and_say_what_they_show(page):
    scores, text = page
    svg, _units = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    root = ElementTree.fromstring(svg)
    words = [one.text for one in root.iter(f"{SVG}text")]
    assert "linear" in [word and word.strip() for word in words]
    assert root.attrib["role"] == "img"
    highest = cv.summary(scores)["r"].max()
    assert f"{highest:.2f}" in root.attrib["aria-label"]


def test_dots_hold_names_value_and_interval_under_the_pointer(whole, whole_page):
    svg = re.search(r"<svg.*?</svg>", whole_page, re.DOTALL)[0]
    titles = {title.text for title in ElementTree.fromstring(svg).iter(f"{SVG}title")}
    for row in cv.summary(whole).to_dict("records"):
        names = f"{row['source']}, {row['metric']}, {row['target']}"
        assert f"{names}: {row['r']:.3f} ({row['r_low']:.3f} to {row['r_high']:.3f})" in titles


def test_voxels_are_drawn_for_each_target(tmp_path):
    places = {f"voxel_{axis}": ("unit", list(range(5))) for axis in "ijk"}
    targets = {name: assembly(5, 4, seed=3, **places) for name in ("A", "B")}
    assert cv.report(score(targets=targets, metrics=["linear"]), tmp_path / "page.html")
    found = sections((tmp_path / "page.html").read_text())["voxels"]
    named = re.findall(r'aria-label="r of the voxels of (\w) on slices, from (\w+)\."', found)
    assert [target for target, _ in named] == ["A", "B"]


def test_sections_follow_each_other_and_appear_where_there_is_content(page, whole_page):
    few = ["compared", "best", "figures", "table", "units", "methods", "again"]
    assert list(sections(page[1])) == few
    every = [*few[:5], "differences", "controls", *few[5:]]
    assert list(sections(whole_page)) == every
    assert re.findall(r'<a href="#([\w-]+)"', whole_page) == every


def test_the_best_source_of_each_target_is_named_with_its_interval(
    whole, whole_page, plain, tmp_path
):
    best = text_of(sections(whole_page)["best"])
    table = cv.summary(whole)
    for _, group in table.groupby("metric"):
        row = group.loc[group["r"].idxmax()]
        expected = f"{row['source']} {row['r']:.3f} {row['r_low']:.3f} to {row['r_high']:.3f}"
        assert expected in best
    without = text_of(sections(page_of(plain, tmp_path))["best"])
    assert "no confidence intervals" in without
    assert " to " not in without.partition("What the columns mean")[0]


def test_every_column_has_a_head_in_words_and_a_definition(whole_page):
    text = whole_page
    heads = re.findall(r'<th scope="col"[^>]*>(?:<button[^>]*>)?(.*?)(?:</button>)?</th>', text)
    assert not [head for head in heads if "_" in head]
    for table, after in re.findall(r"<table(.*?)</table>(.*?)(?=<table|</main>)", text, re.DOTALL):
        named = re.findall(
            r'<th scope="col"[^>]*>(?:<button[^>]*>)?(.*?)(?:</button>)?</th>', table
        )
        defined = re.findall(r"<dt>(.*?)</dt>", after)
        if "colgroup" not in table:  # whose heads are metrics and targets
            assert set(named[1:]) <= set(defined)


def test_tables_can_be_sorted(whole_page):
    heads = re.findall(r'<th scope="col"[^>]*aria-sort="none">(.*?)</th>', whole_page)
    assert len(heads) > 10
    assert all(head.startswith('<button type="button"') for head in heads)


def test_what_is_left_out_is_counted_with_the_reason(tmp_path):
    noisy = assembly(5, 4, seed=3)
    values = noisy.data.values.copy()
    values[:, 1] = 1.0
    found = score(targets={"A": cv.Assembly(noisy.data.copy(data=values))})
    units = text_of(sections(page_of(found, tmp_path))["units"])
    assert "Left out: constant" in units
    assert "A 5 4 1" in units
    assert "Units that respond alike to all stimuli." in units
    assert "Of 5 units, 1 was left out." in " ".join(methods(found, Origin.of(found)))


@pytest.mark.parametrize("name", [*CEILING_WORDS])
def test_ceilings_are_defined_by_their_own_words(name, tmp_path):
    target = assembly(5, 1 if name == "self" else 4, seed=3, subject=["a", "a", "a", "b", "b"])
    text = text_of(
        page_of(score(targets={"A": target}, metrics=["linear"], ceiling=name), tmp_path)
    )
    for other, words in CEILING_WORDS.items():
        assert (words.definition in text) == (other == name)
    if name is None:
        assert "Normalized" not in text
        assert "xplain" not in text
    elif name not in {"split-half", "repeat-variance"}:
        assert "explainable" not in text
    else:
        assert "share of the explainable variance" in text


# what a paragraph of methods says, and what it says only then
SAID = {
    "seed 7": {"folds": cv.Folds(4, seed=7)},
    "in 4 folds": {"folds": cv.Folds(4, seed=7)},
    "same category were in the same fold": {"folds": cv.Folds(4, seed=7, group="category")},
    "in the order of their onset": {"folds": cv.Folds(4, order="onset")},
    "its penalty 0.5 times": {"metrics": cv.Linear(penalties=[0.5])},
    "from 2 values from 1 to 10": {"metrics": cv.Linear(penalties=[1, 10])},
    "an orthogonal map": {"metrics": "procrustes"},
    "mean of its correlations with its partners": {"metrics": "soft-matching"},
    "correlation with the mean of its partners": {"metrics": cv.SoftMatching("barycentric")},
    "reliability below 0.3": {"min_reliability": 0.3},
    "17 resamples (seed 3); maps were fitted again in 4": {
        "bootstrap": cv.Bootstrap(17, seed=3, refits=4)
    },
    "over stimuli (within folds) and units": {
        "bootstrap": cv.Bootstrap(17, over=("stimuli", "units"), refits=4)
    },
    "over groups of stimuli": {
        "folds": cv.Folds(4, group="category"),
        "bootstrap": cv.Bootstrap(17, refits=4),
    },
    "over units (within targets)": {"bootstrap": cv.Bootstrap(17, over="units")},
    "exchanged within folds, and everything was fitted again, 6 times (seed 2)": {
        "shuffle": cv.Shuffle(6, seed=2)
    },
    "shifted along their order": {
        "folds": cv.Folds(4, order="onset"),
        "shuffle": cv.Shuffle(6, kind="circular"),
    },
}


def labelled(n_units, repeats=1, **options):
    category = [f"c{i % 8}" for i in range(len(STIMULI))]
    onset = [float(i) for i in range(len(STIMULI))]
    return assembly(
        n_units, repeats, category=("stimulus", category), onset=("stimulus", onset), **options
    )


@pytest.fixture(scope="module")
def methods_of():
    """Methods of scores with some settings, as the page has them."""
    targets, sources = {"A": labelled(5, 4, seed=3)}, {"early": labelled(6, seed=1)}

    def said(**settings):
        usual = {"metrics": "linear", "folds": cv.Folds(3, seed=1)}
        result = cv.score(sources, targets, progress=False, **usual | settings)
        return " ".join(methods(result, Origin.of(result)))

    return said


@pytest.fixture(scope="module")
def usual_methods(methods_of):
    return methods_of()


@pytest.mark.parametrize("said", SAID)
def test_methods_say_what_was_done_and_nothing_else(said, methods_of, usual_methods):
    assert said in methods_of(**SAID[said])
    assert said not in usual_methods


def test_methods_are_silent_on_what_was_not_done(usual_methods):
    for word in ("bootstrap", "onfidence", "shuffle", "null", "group", "Procrustes", "simulated"):
        assert word not in usual_methods


def test_methods_hold_the_data_the_network_and_their_citations(tmp_path):
    of = {"data_set": "mine", "citation": "Author & Author 2025", "session": "monday"}
    layer = cv.Assembly(SOURCES["early"].data.assign_attrs(network="net", weights="trained"))
    target = cv.Assembly(TARGETS["A"].data.assign_attrs(of))
    found = sections(page_of(score({"conv1": layer}, {"A": target}), tmp_path))
    methods, compared = text_of(found["methods"]), text_of(found["compared"])
    assert "1 layer of net (trained) with A of the data set mine (Author & Author 2025)" in methods
    assert "5 units" in methods
    assert "repeats of a stimulus" in methods
    for said in ("net (trained)", "mine (session monday)", "Author & Author 2025", cv.__version__):
        assert said in compared
    assert "No unit was left out." in methods


def test_page_says_how_to_do_it_again(page):
    _, text = page
    provenance = html.unescape(re.findall(r"<code>(.*?)</code>", text, re.DOTALL)[-1])
    for word in (
        '"seed": 0',
        '"ceiling": "split-half"',
        '"versions"',
        '"sha256"',
        json.dumps(HOSTILE),
    ):
        assert word in provenance


def test_the_python_of_a_page_gives_the_same_scores(whole, whole_page):
    again = sections(whole_page)["again"]
    code = html.unescape(re.findall(r"<code>(.*?)</code>", again, re.DOTALL)[0])
    code = code.replace("'early': ...", "'early': early").replace("'late': ...", "'late': late")
    code = code.replace("'A': ...", "'A': A").partition("cv.report")[0]
    names = {**SOURCES, **TARGETS}
    exec(code, names)
    assert names["scores"].drop_attrs().identical(whole.drop_attrs())


def test_the_python_names_networks_and_data_sets():
    about = {"network": "efficientnet-lite0", "spatial": "mean", "weights": "untrained, seed 3"}
    layer = cv.Assembly(SOURCES["early"].data.assign_attrs(about))
    target = cv.Assembly(TARGETS["A"].data.assign_attrs(data_set="cowley2023", session="210325"))
    code = Origin.of(score({HOSTILE: layer}, {"A": target}, ["linear"])).python()
    compile(code, "page", "exec")
    for line in (
        "stimuli, recording = cv.load('cowley2023', session='210325')",
        "targets = {'A': recording}",
        "network = cv.network('efficientnet-lite0', pretrained=False, seed=3)",
        f"layers = [{HOSTILE!r}]",
        "sources = cv.extract(network, stimuli, layers, spatial='mean')",
        "    'linear': cv.Linear(),",
    ):
        assert line in code.splitlines()


def test_the_command_can_be_copied(plain, tmp_path):
    options = {"network": "it's mine", "by": "region", "untrained": True, "seed": 0, "layers": None}
    command = json.dumps({"name": "score", "options": options})
    again = sections(page_of(plain.assign_attrs(command=command), tmp_path))["again"]
    expected = """convergent score '--network=it'"'"'s mine' --by=region --untrained"""
    assert f"<code>{expected}</code>" in html.unescape(again)


def test_a_metric_of_ones_own_is_described_by_its_settings(tmp_path):
    class Mine(cv.Linear):
        """A metric of a user."""

    text = page_of(score(metrics=[Mine(penalties=(2.0,))]), tmp_path)
    assert "Mine (penalties = [2.0])" in text_of(sections(text)["methods"])
    code = html.unescape(re.findall(r"<code>(.*?)</code>", text, re.DOTALL)[0])
    compile(code, "page", "exec")


def test_page_of_simulated_data_says_so(plain, tmp_path):
    simulated = score(targets=assembly(5, 3, simulated=True, name="A"))
    assert "(simulated data)</h1>" in page_of(simulated, tmp_path)
    above, _, _ = page_of(plain, tmp_path).partition("<pre")
    assert "imulated" not in above


def test_page_without_unit_scores_or_ceiling(tmp_path):
    text = page_of(score(units=False, ceiling=None), tmp_path)
    assert not re.search(r">\s*nan\b", text, re.IGNORECASE)
    assert "Normalized" not in text


def test_page_of_a_result_without_provenance(plain, tmp_path):
    found = sections(page_of(plain.drop_attrs().assign_attrs(n_stimuli=40), tmp_path))
    assert "methods" not in found
    assert "again" not in found


def test_controls_stand_beside_the_scores(whole, whole_page):
    text = text_of(sections(whole_page)["controls"])
    row = cv.against(whole, [score(cv.shuffled(SOURCES), units=False)]).iloc[0]
    assert f"{row['source']} {row['metric']} A {row['r']:.3f} {row['control_mean']:.3f}" in text


def test_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch, plain):
    scores = plain
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


def test_a_page_is_the_same_each_time(tmp_path, monkeypatch, plain):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    first = page_of(plain, tmp_path)
    assert first == page_of(plain, tmp_path)
    assert "1970-01-02" in first
