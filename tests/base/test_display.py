"""Names as people see them: nothing in a name acts, and no two names become one."""

import csv

import numpy as np
import pandas as pd
import pytest

from convergent.base.display import file_names, write_csv
from convergent.base.errors import InputError, examples, shortened, shown, unknown, warn
from convergent.base.progress import track

ESCAPE = "V4\x1b[2J"
HOSTILE = [
    *("[/b]", "[x]", r"$\frac{$", "_hidden", "x" * 240, ESCAPE, '=HYPERLINK("x")', "a\u202eb"),
    *(
        "層 1",
        "🧠",
        "e\u0301",
        "שלום",
        "",
        " ",
        "x" * 10_000,
        "%s {0}",
        "nan",
        "None",
        "True",
        "007",
    ),
    *("-1", "+1", "@x", "'=x", "=x", "\tx", "\rx", "a\nb", 'say "x", he', "a/b", "a\\b", "a:b"),
    *("..", "../../x", "CON", "con.txt", "x.", "x", "X", "</script><b>", "caf\udce9", "-rf"),
]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (ESCAPE, r"V4\x1b[2J"),
        ("a\nb\tc\rd\x00", r"a\nb\tc\rd\x00"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("\x9b2J", r"\x9b2J"),
        ("caf\udce9", r"caf\udce9"),
        ("\U000e0041", r"\U000e0041"),
        *(
            (name, name)
            for name in ("[/b]", r"$\frac{$", "層 1", "e\u0301", "שלום", "👩\u200d🔬", "")
        ),
    ],
)
def test_a_name_is_shown_as_it_is_and_does_not_act(name, seen):
    assert shown(name) == seen
    assert shown(seen) == seen


def test_both_ends_of_a_long_name_stay():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcd...ijk"
    assert len(shortened("x" * 10_000, 61)) == 61


def test_messages_are_visible_and_short():
    assert str(InputError(f"no {ESCAPE}\n")) == r"no V4\x1b[2J\n"
    with pytest.warns(UserWarning, match=r"V4\\x1b\[2J"):
        warn(ESCAPE)
    assert len(examples(HOSTILE * 2, most=100)) < 8_000
    assert len(str(unknown("layer", "x" * 10_000, ["x" * 9_999, "y"]))) < 500


def test_file_names_are_safe_bounded_and_apart():
    found = file_names(HOSTILE)
    assert list(found) == HOSTILE
    files = list(found.values())
    assert len({file.casefold() for file in files}) == len(files)
    for file in files:
        assert 0 < len(file.encode()) <= 80
        assert not set(file) & set('/\\:*?"<>|\n\r\t\x00\x1b ')
        assert file.strip(".-") == file
        assert file.partition(".")[0].casefold() not in {"con", "nul"}
    assert file_names(["_blocks.5", "層"]) == {"_blocks.5": "_blocks.5", "層": "層"}


def test_spreadsheets_find_no_formula_and_pandas_finds_each_name(tmp_path):
    names = [name for name in HOSTILE if name != "caf\udce9"]
    numbers = np.linspace(-1, 1, len(names))
    numbers[1] = np.nan
    table = pd.DataFrame({"=source": names, "r": numbers, "n": range(-3, len(names) - 3)})
    write_csv(table, tmp_path / "names.csv")
    with (tmp_path / "names.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["'=source", "r", "n"]
    assert not any(row[0].startswith(tuple("=+-@\t\r")) for row in rows)
    assert len({row[0] for row in rows}) == len(names)
    options = {"usecols": ["'=source"], "dtype": str, "keep_default_na": False}
    read = pd.read_csv(tmp_path / "names.csv", **options)
    exact = read.replace(r"^'(?='*[=+\-@\t\r])", "", regex=True)
    assert exact["'=source"].tolist() == names
    read = pd.read_csv(tmp_path / "names.csv")  # numbers are as they are, for every reader
    np.testing.assert_allclose(read["r"], numbers)
    assert read["n"].tolist() == table["n"].tolist()


@pytest.mark.parametrize("what", ["extracting [/b] [red]x", "x" * 10_000, ESCAPE])
def test_progress_takes_names_literally(what, capfd):
    assert list(track([1, 2], what, 2, show=True)) == [1, 2]
    assert "\x1b[2J" not in capfd.readouterr().err
