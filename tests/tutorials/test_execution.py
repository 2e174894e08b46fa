"""What the outputs of a tutorial must not hold, and the command that makes them."""

import importlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat.v4 as v4
import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))
execution, small = (importlib.import_module(name) for name in ("execution", "small"))
notebook, picture, printed, shown = small.notebook, small.picture, small.printed, small.shown


def figures(n, width=700):
    return [shown(image_png=picture(width, 400 + i)) for i in range(n)]


def test_two_figures_are_no_fault():
    assert execution.faults(notebook(*figures(2), printed("r 0.5"))) == []


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([*figures(2), v4.new_output("error", ename="KeyError", evalue="r")], "ends in KeyError"),
        ([*figures(2), v4.new_output("stream", name="stderr", text="Warning: x")], "to stderr"),
        ([*figures(2), v4.new_output("stream", name="stderr", text=" 50%|##")], "to stderr"),
        ([*figures(1), *figures(2)], "shows a figure twice"),
        (figures(2, width=1400), "of 1400 x 401 pixels"),
        (figures(1), "shows 1 figures"),
        ([*figures(2), printed("x" * 1_600_000)], "it has 1.6 MB"),
    ],
)
def test_a_fault_is_told(outputs, said):
    assert any(said in line for line in execution.faults(notebook(*outputs)))


SOURCE = """
import os, sys, tempfile, warnings
import matplotlib.pyplot as plt
for size in (3, 4):
    plt.figure(figsize=(size, 2))
    plt.plot([0, 1])
    plt.show()
print(tempfile.gettempdir() + "/made", "r", {r})
if {warns}:
    warnings.warn("careful")
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the kernel's machinery
def test_the_command_keeps_outputs_and_checks_them(tmp_path, monkeypatch, capsys):
    spec = spec_from_file_location("run_tutorials", HERE / "run.py")  # others have a "run" too
    run = module_from_spec(spec)
    spec.loader.exec_module(run)
    path = tmp_path / "01-short.ipynb"
    monkeypatch.setattr(run, "notebooks", lambda: [path])

    def source(r, warns=False):
        execution.write(notebook(source=SOURCE.format(r=r, warns=warns)), path)

    source(0.5)
    assert run.main(["01"]) == 0
    kept = execution.read(path)
    assert kept.cells[0].outputs[-1].text == "/tmp/made r 0.5\n"
    before = path.read_bytes()
    assert run.main(["--check"]) == 0
    assert run.main([]) == 0
    assert path.read_bytes() == before  # made twice, the same

    kept.cells[0].outputs[-1].text = "/tmp/made r 0.7\n"
    execution.write(kept, path)
    assert run.main(["--check"]) == 1
    assert "0.5, where 0.7 is kept" in capsys.readouterr().out

    source(0.5, warns=True)
    before = path.read_bytes()
    assert run.main([]) == 1
    assert "careful" in capsys.readouterr().out
    assert path.read_bytes() == before  # a notebook that warns is not kept
    assert run.main(["99"]) == 2


FIGURES = """
import convergent as cv
source, target = cv.simulate.convergent_pair(60, 10, shares=(1, 0, 0), private=0)
scores = cv.score({"layer": source}, target, "linear", ceiling=None)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the kernel's machinery
def test_a_figure_of_ours_is_displayed_once(tmp_path):
    ends = ["cv.plot.scores(scores)", "cv.plot.scores(scores);", "figure = cv.plot.scores(scores)"]
    ends += ["cv.plot.scores(scores)\nprint(1)", "figure"]  # the last: of an earlier cell
    path = tmp_path / "01-figures.ipynb"
    cells = [notebook(source=source).cells[0] for source in (FIGURES, *ends)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    execution.write(v4.new_notebook(cells=cells), path)
    made = execution.executed(path, tmp_path / "work")
    pictures = [
        sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in made.cells
    ]
    assert pictures == [0, 1, 1, 1, 1, 1]
