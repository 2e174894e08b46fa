"""Tables fit the width of a terminal, with whole numbers and names that differ."""

import re

import pandas as pd
import pytest
from rich.cells import cell_len

from convergent.cli.console import print_scores, print_table
from convergent.cli.tables import short_names

LONG = [f"module.encoder.layers.{i}.self_attention.out_proj" for i in range(24)]
SHORT = [f"_blocks.{i}" for i in range(24)]
WIDE = ["層" * 12 + str(i) for i in range(24)]


@pytest.fixture(params=[80, 60, 120])
def printed(request, capsys, monkeypatch):
    """Print a table at a width; return its lines, each of which fits."""
    monkeypatch.setenv("COLUMNS", str(request.param))

    def printed(function, *given):
        function(*given)
        lines = capsys.readouterr().out.splitlines()
        assert max(cell_len(x) for x in lines if x.startswith(("│", "┃", "┏"))) <= request.param
        return lines

    return printed


def cells(lines):
    return [part.strip() for x in lines if x.startswith("│") for part in x.strip("│").split("│")]


@pytest.mark.parametrize("names", [LONG, SHORT, WIDE])
@pytest.mark.parametrize("count", [1, 6, 11, 24])
def test_a_column_for_each_layer(printed, names, count):
    values = {name: -0.001 - i for i, name in enumerate(names[:count])}
    measures = ["soft-matching-distance-cv", "cka"]
    rows = [{"measure": m, "kind": "similarity"} | values for m in measures]
    lines = printed(print_table, "title", rows, names)
    found = cells(lines)
    for value in values.values():
        assert found.count(f"{value:.3f}") == len(measures)
    assert found.count("cka") >= 1


@pytest.mark.parametrize("names", [LONG, SHORT])
def test_many_columns_of_numbers(printed, names):
    columns = ["r", "normalized", "share of resamples", "depth correlation", "slope", "low", "high"]
    rows = [
        {"metric": "soft-matching", "layer": name, "counterpart": names[0]}
        | {column: -0.125 * (i + 1) for i, column in enumerate(columns)}
        for name in names
    ]
    lines = printed(print_table, "title", rows)
    found = cells(lines)
    for i in range(len(columns)):
        assert found.count(f"{-0.125 * (i + 1):.3f}") == len(names)
    assert "…" not in "".join(lines)
    assert len({cell for cell in found if re.search(r"\d", cell)}) >= len(names)


def scored(names, **more):
    rows = [
        {"metric": metric, "source": name, "target": "V4", "r": -0.123, "normalized": 0.5}
        | {"ceiling": 0.8, "n_units": 9, "n_units_excluded": 0, "n_stimuli": 40}
        | more
        for metric in ("linear", "procrustes", "soft-matching")
        for name in names
    ]
    return pd.DataFrame(rows)


DRAWN = {"r_low": -0.2, "r_high": 0.1, "among_best": True}


@pytest.mark.parametrize("names", [LONG, SHORT])
@pytest.mark.parametrize("more", [{}, DRAWN, DRAWN | {"p_shuffle": 0.05, "p_untrained": 0.25}])
def test_scores(printed, names, more):
    lines = printed(print_scores, "title", scored(names, **more), "split-half")
    text = " ".join(cells(lines))
    assert text.count("-0.123") == 3 * len(names)
    if more:
        assert len(re.findall(r"\[-0.200,\s0.100\]", text)) == 3 * len(names)
    if "p_untrained" in more:
        assert text.count("0.25") == 3 * len(names)


def test_scores_of_which_some_have_no_ceiling(printed):
    table = scored(SHORT, **DRAWN)
    table.loc[0, "normalized"] = float("nan")
    assert printed(print_scores, "title", table, "split-half")
    table["normalized"] = float("nan")
    assert "normalized │" not in "".join(printed(print_scores, "title", table, "split-half"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (LONG[:2], ["...0...", "...1..."]),
        ([LONG[0]], ["module..._proj"]),
        (
            ["x" * 20 + "a" + "y" * 20, "x" * 20 + "b" + "y" * 20],
            ["1: xxxx...yyyy", "2: xxxx...yyyy"],
        ),
        ([LONG[1], LONG[1], LONG[2]], ["...1...", "...1...", "...2..."]),
    ],
)
def test_names_stay_different(names, expected):
    assert short_names(names, 14) == expected
