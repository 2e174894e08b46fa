"""Keys of a study depend on the code that decides numbers, and on no other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import convergent as cv
from convergent.base.hashing import parameters, recipe

SCORE = """
import sys
import numpy as np
import convergent as cv
names = [f"s{i:02d}" for i in range(30)]
x, y = (
    cv.Assembly.from_array(np.random.default_rng(k).standard_normal((30, 4)), stimuli=names)
    for k in range(2)
)
cv.score(x, y, "linear", folds=cv.Folds(3), ceiling="self", study=sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "pieces"),
    [("plot", 2), ("scoring", 4)],
)
def test_a_study_outlives_changes_of_packages_that_decide_no_score(tmp_path, package, pieces):
    source = tmp_path / "src" / "convergent"
    shutil.copytree(Path(cv.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"}

    def score():
        command = [sys.executable, "-c", SCORE, str(tmp_path / "study")]
        subprocess.run(command, env=environment, check=True, timeout=120)
        return len(list((tmp_path / "study" / "pieces").iterdir()))

    assert score() == 2  # a pair and a ceiling
    file = next(
        path for path in sorted((source / package).glob("*.py")) if path.stat().st_size > 100
    )
    file.write_text(file.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    assert score() == pieces


def test_a_recipe_holds_what_decides_a_result():
    one = recipe("pair", ("metrics",), metric=parameters(cv.Linear()), source="abc")
    assert one["kind"] == "pair"
    assert one["source"] == "abc"
    assert one["metric"]["metric"] == "Linear"
    assert one["code"] == recipe("other", ("metrics", "base"))["code"]
    assert one["code"] != recipe("pair", ("metrics", "statistics"))["code"]
