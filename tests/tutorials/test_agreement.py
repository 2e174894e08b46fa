"""What counts as a disagreement of a notebook with its kept outputs."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
agreement, small = (importlib.import_module(name) for name in ("agreement", "small"))
notebook, picture, printed, shown = small.notebook, small.picture, small.printed, small.shown


def texts(kept, made, *tags):
    """Differences of two printed texts."""
    return agreement.differences(
        notebook(printed(kept), tags=tags), notebook(printed(made), tags=tags)
    )


@pytest.mark.parametrize(
    ("kept", "made"),
    [
        ("r 0.499", "r 0.500"),  # rounded to another last place
        ("r = -0.4995", "r = −0.4996"),
        ("[0.12, 0.5]", "[0.13, 0.5]"),
        ("123456.7", "123500.1"),  # less than a thousandth of itself
        ("1,234.5 units", "1,234.6 units"),
        ("gains 3e-17", "gains -8e-18"),  # zero, but for rounding
        ("p < 0.005", "p  <  0.005\n"),
        ("score nan", "score nan"),
        ("it took 2.5 s", "it took 11.3 s"),
        ("asked again: 0.1 s", "asked again: 12 ms"),
        ("torch 2.4.0 and 3.11", "torch 2.10.1+cpu and 3.11"),
        ("on 2026-11-29 02:10:00 +0000", "on 2027-01-01 23:59:59 +0100"),
        ("sha256 0a1b2c3d4e5f60718293", "sha256 ffb2c3d4e5f607182900"),
        ("<object at 0x7f00ab>", "<object at 0x7fffcd>"),
        ("", ""),
    ],
)
def test_rounding_and_what_has_to_differ_agree(kept, made):
    assert texts(kept, made) == []


@pytest.mark.parametrize(
    ("kept", "made"),
    [
        ("r 0.499", "r 0.503"),
        ("r 0.4990", "r 0.4999"),
        ("r 0.25", "r -0.25"),
        ("38 units", "40 units"),  # counts are exact
        ("640 stimuli", "641 stimuli"),
        ("12,345 pairs", "12,346 pairs"),
        ("best: _blocks.5", "best: _blocks.6"),  # a name, not a number
        ("image003.png", "image004.png"),
        ("r 0.5", "r nan"),
        ("layer4 is best", "layer5 is best"),
        ("0.1 0.2", "0.1"),
        ("one", "one two"),
        ("1e-5", "3e-5"),
        ("5%", "7%"),
        ("held out", ""),
        ("version 1.2", "version 1.4"),
    ],
)
def test_a_planted_difference_is_found(kept, made):
    (line,) = texts(kept, made)
    assert line.startswith("cell 0 (cell): ")
    assert len(texts(made, kept)) == 1


def test_each_number_that_differs_is_told_with_what_stands_before_it():
    lines = texts("linear r 0.1\nsoft r 0.2\n", "linear r 0.3\nsoft r 0.4\n")
    assert lines == [
        "cell 0 (cell): 0.3, where 0.1 is kept (after 'linear r')",
        "cell 0 (cell): 0.4, where 0.2 is kept (after 'soft r')",
    ]


def test_of_a_machine_only_the_words_are_compared():
    assert texts("3.5 GB and 20 pairs", "900 GB and 70 pairs", "machine") == []
    assert len(texts("3.5 GB of memory", "3.5 GB of disk", "machine")) == 1


def test_a_training_may_end_a_little_apart():
    assert texts("accuracy 0.60", "accuracy 0.66", "trained") == []
    assert len(texts("accuracy 0.60", "accuracy 0.80", "trained")) == 1
    assert len(texts("accuracy 0.60", "accuracy 0.66")) == 1
    assert texts("41 units are shared", "43 units are shared", "trained") == []
    assert len(texts("41 units are shared", "60 units are shared", "trained")) == 1


def test_a_recording_is_compared_only_where_it_is():
    kept, made = (
        notebook(printed(text), tags=["data:cowley2023/210325"]) for text in ("r 0.5", "skipped")
    )
    assert agreement.differences(kept, made, present=lambda _: False) == []
    assert len(agreement.differences(kept, made, present=lambda _: True)) == 1


def test_of_html_the_text_is_compared():
    def page(r, style="a", layer="conv1"):
        return shown(
            text_html=f"<style>td {{width: {style}}}</style><script>{style}</script>"
            f"<table id='{style}'><tr><td>{layer}</td><td>{r}</td></tr></table>",
            text_plain=style,
        )

    kept = notebook(page(0.5))
    assert agreement.differences(kept, notebook(page(0.5, style="7"))) == []
    assert agreement.differences(kept, notebook(page(0.501))) == []
    assert len(agreement.differences(kept, notebook(page(0.7)))) == 1
    assert len(agreement.differences(kept, notebook(page(0.5, layer="conv2")))) == 1
    more = notebook(shown(text_html="<img src='a'>"), shown(text_html="<img src='a'><img>"))
    less = notebook(shown(text_html="<img src='b'>"), shown(text_html="<img src='b'>"))
    assert len(agreement.differences(more, less)) == 1


def test_figures_are_compared_by_presence_and_size():
    kept = notebook(shown(image_png=picture(700, 400), text_plain="<Figure size 1>"))
    same = notebook(shown(image_png=picture(710, 396), text_plain="<Figure size 2>"))
    other = notebook(shown(image_png=picture(700, 800)))
    twice = notebook(*(shown(image_png=picture(700, 400)) for _ in range(2)))
    assert agreement.differences(kept, same) == []
    assert agreement.differences(kept, other) == [
        "cell 0 (cell): a figure of 700 x 800 pixels, where 700 x 400 is kept"
    ]
    for made in (notebook(), twice, notebook(printed("no figure"))):
        assert len(agreement.differences(kept, made)) == 1


def test_what_is_printed_may_come_in_pieces():
    whole = notebook(printed("one\ntwo\n"))
    pieces = notebook(printed("one\n"), printed("two\n"))
    assert agreement.differences(whole, pieces) == []


def test_a_notebook_with_other_cells_disagrees():
    (line,) = agreement.differences(notebook(source="1"), notebook(source="2"))
    assert "other cells" in line
