"""Values in notebooks: short, escaped, in the colours of the notebook, and never an error."""

import html
import io
import re
from base64 import b64decode

import numpy as np
import pytest
import torch
from PIL import Image

import convergent as cv
from convergent.base.notebook import in_short

HOSTILE = '<img src=x onerror=alert(1)>\x1b"'


def text_of(page):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def assert_inert(page):
    """Names do not act, and no colour is set, so that the notebook's own holds."""
    assert "<img src=x" not in page
    assert "\x1b" not in page
    assert not re.search(r"(?<![-\w])(color|background)\s*:", page)
    assert "<script" not in page


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0.123456789012, 5, 9), "0.123 to 5"),
        (np.array([1.5, 2.5]), "1.5, 2.5"),
        (np.array([0, 1] * 5), "0 (5), 1 (5)"),
        (np.array([np.nan] * 9), "unknown"),
        (np.array([np.nan, *range(9)]), "0 to 8"),
        (np.array([f"s{i}" for i in range(9)]), "s0, s1, s2, ..."),
        (np.array(["a", "b"] * 4), "a (4), b (4)"),
        (np.array([]), ""),
        (np.arange(9) * 10_000.0, "0 to 80000"),
    ],
)
def test_labels_in_short(values, expected):
    assert in_short(values) == expected


def test_an_assembly():
    noise = np.linspace(0.55443142271451, 1.7, 9)
    assembly = cv.Assembly.from_array(
        np.zeros((2, 9, 3)),
        dims=("stimulus", "unit", "repeat"),
        stimuli=["a", HOSTILE],
        noise=("unit", noise),
        region=["V1"] * 4 + [HOSTILE] * 5,
        name=HOSTILE,
    )
    page = assembly._repr_html_()
    assert_inert(page)
    text = text_of(page)
    assert "2 stimuli x 9 units x 3 repeats, float64, 432 bytes in memory" in text
    assert "noise unit 0.554 to 1.7" in text
    assert "V1 (4)" in text
    assert not re.search(r"\d\.\d{4}", text)


def test_stimuli_show_a_few_images():
    images = [np.full((20, 300), i / 9) for i in range(9)]
    stimuli = cv.Stimuli.from_arrays(images, [HOSTILE, *"bcdefghi"])
    page = stimuli._repr_html_()
    assert_inert(page)
    assert "9 images, of which the first 6" in text_of(page)
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page)
    sizes = [Image.open(io.BytesIO(b64decode(one))).size for one in pictures]
    assert sizes == [(96, 6)] * 6
    assert len(page) < 20_000


def test_stimuli_that_do_not_open_are_named():
    stimuli = cv.Stimuli.from_arrays([np.zeros((4, 4)), np.zeros(3)], ["good", "bad"])
    text = text_of(stimuli._repr_html_())
    assert "bad cannot be opened: " in text


def test_a_network_shows_its_layers_with_shapes():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    network = cv.Network(HOSTILE, module, torch.as_tensor, about={HOSTILE: HOSTILE})
    page = network._repr_html_()
    assert_inert(page)
    text = text_of(page)
    assert "626 weights, 3 modules" in text
    assert "0 Conv2d 8 x 3 x 5 x 5, 8 608" in text
    assert "2 Linear 2 x 8, 2 18" in text
    assert "and 1 more: .layers names all" in text


def test_a_network_that_never_ran():
    network = cv.Network("lazy", torch.nn.Sequential(torch.nn.LazyLinear(2)), torch.as_tensor)
    assert "LazyLinear" in network._repr_html_()


def test_a_card():
    page = cv.card("virtual-cortex")._repr_html_()
    assert_inert(page)
    text = text_of(page)
    for word in ("virtual-cortex", "simulated", "no brain was recorded", "licence", "citation"):
        assert word in text


def test_scores_as_a_shaded_table():
    rng = np.random.default_rng(0)
    names = [f"{i:02d}" for i in range(30)]
    x = rng.standard_normal((30, 5))
    make = cv.Assembly.from_array
    sources = {HOSTILE: make(x, stimuli=names), "late": make(x + 1, stimuli=names)}
    targets = {"V4": make(x[:, :3] + rng.standard_normal((30, 3)), stimuli=names)}
    metrics = ["linear", "procrustes"]
    scores = cv.score(sources, targets, metrics, folds=cv.Folds(3), ceiling=None)
    styled = cv.table(scores)
    rows = cv.summary(scores).set_index(["source", "target", "metric"])["r"]
    for (source, target, metric), r in rows.items():
        assert styled.data.loc[source, (target, metric)] == r
    page = styled.to_html()
    assert "<img src=x" not in page
    assert "\x1b" not in page
    assert f"{rows.iloc[0]:.3f}" in page
    assert page.count("background-color") >= 1
    assert cv.table(scores, "normalized").data.isna().all(axis=None)
    with pytest.raises(cv.InputError, match="value"):
        cv.table(scores, "ceiling")
