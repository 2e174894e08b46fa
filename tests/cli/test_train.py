"""``convergent train``."""

import json

import pytest

import convergent as cv

TINY = ("--images", "64", "--held-out", "16", "--epochs", "1", "--batch-size", "16")


def test_train(run, tmp_path):
    asked = ("train", "small-plain", "--out", str(tmp_path / "nets"), "--seeds", "0,3", *TINY)
    code, out, err = run(*asked, "--json")
    rows = json.loads(out)
    assert code == 0
    steps = [(row["seed"], row["step"]) for row in rows]
    assert steps == [(seed, step) for seed in (0, 3) for step in range(5)]
    assert {"network", "epoch", "images_seen", "loss", "accuracy"} <= set(rows[0])
    assert "small-plain-3: 5 checkpoints, accuracy" in err
    for seed in (0, 3):
        found = cv.checkpoints(tmp_path / "nets" / f"small-plain-{seed}")
        assert list(found) == [0, 0.25, 0.5, 0.75, 1]
        assert cv.network("small-plain", checkpoint=found[1]).name == "small-plain"
    code, out, _ = run(*asked)  # finished: read from disk
    assert code == 0
    assert "small-plain, trained" in out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("small-plane",), "did you mean 'small-plain'"),
        (("small-plain", "--seeds", "0,one"), "--seeds '0,one': give whole numbers"),
        (("small-plain", "--seeds", ""), "'' after --seeds is no value"),
        (("small-plain", "--epochs", "0"), "--epochs 0:"),
    ],
)
def test_train_on_bad_input(run, tmp_path, wrong, message):
    code, out, err = run("train", *wrong, "--out", str(tmp_path / "nets"))
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "nets").exists()
