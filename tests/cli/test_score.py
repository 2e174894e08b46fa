"""``convergent score``: rows, tables and files."""

import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image

import convergent as cv

N_STIMULI = 36
KEYS = {
    "source",
    "target",
    "metric",
    "r",
    "ceiling",
    "normalized",
    "n_stimuli",
    "n_units",
    "n_units_excluded",
}
WRITTEN = {"scores.nc", "summary.csv", "scores.png", "scores.svg", "report.html", "study.toml"}


def test_json_rows(score, tmp_path, all_files):
    rows = score("--json", metrics="linear,procrustes").rows()
    assert all(set(row) >= KEYS for row in rows)
    assert [(row["metric"], row["source"], row["target"]) for row in rows] == [
        (metric, source, target)
        for metric in ("linear", "procrustes")
        for source in ("0", "2")
        for target in ("V1", "V4")
    ]
    assert {row["n_stimuli"] for row in rows} == {N_STIMULI}
    assert [row["n_units"] for row in rows[:2]] == [4, 3]
    assert {row["n_units_excluded"] for row in rows} == {0}
    assert not all_files(tmp_path)


def test_json_rows_are_the_summary_of_the_same_score(score, lab, monkeypatch):
    rows = score("--json", layers="2", spatial="flatten", seed=5, folds=4).rows()
    monkeypatch.syspath_prepend(lab)
    stimuli = cv.Stimuli.from_folder(lab / "images")
    layers = cv.extract(cv.network("tinynetwork:make"), stimuli, ["2"], spatial="flatten")
    targets = cv.open(lab / "recording.nc").by("region")
    table = cv.summary(cv.score(layers, targets, "linear", folds=cv.Folds(4, seed=5)))
    pd.testing.assert_frame_equal(pd.DataFrame(rows), table)


def test_called_again_only_what_is_missing_is_done(score, tmp_path, monkeypatch):
    first = score("--json", out=tmp_path / "out", metrics="linear").rows()

    def never(*_given):
        raise AssertionError("done again")

    with monkeypatch.context() as patch:
        patch.setattr("convergent.scoring.engine.do_task", never)
        patch.setattr("convergent.networks.into_store._write_row", never)
        assert score("--json", out=tmp_path / "out", metrics="linear").rows() == first
    more = score("--json", out=tmp_path / "out", metrics="linear,procrustes").rows()
    assert more[: len(first)] == first
    assert len(more) == 2 * len(first)


def test_a_scheduler_that_does_not_answer_is_refused(score):
    pytest.importorskip("distributed")
    assert score(scheduler="nowhere://127.0.0.1").is_refused("no scheduler answers at nowhere")


def test_intervals_and_p_where_they_are_asked(score, tmp_path):
    options = {"bootstrap": 20, "over": "stimuli,subjects", "shuffle": 9}
    rows = score("--json", out=tmp_path / "out", **options).rows()
    for row in rows:
        assert row["r_low"] < row["r"] < row["r_high"]
        assert row["p_shuffle"] in [pytest.approx(k / 10) for k in range(1, 11)]
    best = [row["source"] for row in rows if row["among_best"] and row["target"] == "V1"]
    assert best
    saved = xr.load_dataset(tmp_path / "out" / "scores.nc", engine="h5netcdf")
    assert saved["r_draws"].sizes["draw"] == 20
    assert saved["r_shuffled"].sizes["shuffle"] == 9


@pytest.mark.slow
def test_untrained_networks_are_controls(score, tmp_path):
    network = {"network": "efficientnet-lite0", "layers": "_blocks.2", "controls": 2}
    for row in score("--json", out=tmp_path / "out", **network).rows():
        assert row["p_untrained"] in [pytest.approx(k / 3) for k in range(1, 4)]
        assert row["control_mean"] != row["r"]


def test_a_network_that_has_no_untrained_copy_is_refused_before_it_runs(score):
    code, out, err = score(controls=2)
    assert (code, out) == (2, "")
    assert "decides on its weights itself" in err


def test_table_has_intervals_and_p(score, tmp_path):
    _, out, _ = score(bootstrap=20, shuffle=9, out=tmp_path / "out")
    assert "[95% interval]" in out
    assert "p(shuffle)" in out
    assert " *" in out


def test_what_is_not_a_number_is_null(score, lab):
    rows = score("--json", data=lab / "means.nc", ceiling="none").rows()
    assert {row["ceiling"] for row in rows} == {row["normalized"] for row in rows} == {None}
    assert all(isinstance(row["r"], float) for row in rows)


def test_progress_goes_to_stderr(score):
    _, out, err = score("--json")
    assert "tiny" in err
    assert out.startswith("[\n{")


@pytest.mark.parametrize(
    ("options", "targets"),
    [({}, ["V1", "V4"]), ({"by": "subject"}, ["a", "b"]), ({"data": "plain.zarr"}, ["plain"])],
)
def test_targets_are_separated_by_a_label(score, lab, options, targets):
    if "data" in options:
        options = {"data": lab / options["data"]}
    rows = score("--json", layers="0", **options).rows()
    assert [row["target"] for row in rows] == targets


def test_groups_stay_in_one_fold(score):
    together, apart = (
        score("--json", layers="0", **options).rows() for options in ({"group": "scene"}, {})
    )
    assert together[0]["r"] != apart[0]["r"]


def test_checkpoint_takes_the_place_of_weights(score, lab, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(lab)
    torch.save(cv.network("tinynetwork:make", seed=9).module.state_dict(), tmp_path / "w.pt")
    plain, loaded = (
        score("--json", layers="0", **options).rows()
        for options in ({}, {"network": f"tinynetwork:make={tmp_path / 'w.pt'}"})
    )
    assert plain[0]["r"] != loaded[0]["r"]


def test_all_is_written_to_the_folder(score, tmp_path, all_files):
    out = tmp_path / "new" / "folder"
    rows = score("--json", out=out).rows()
    assert all_files(out) == WRITTEN
    with xr.open_dataset(out / "scores.nc", engine="h5netcdf") as scores:
        assert scores["r"].dims == ("metric", "source", "fold", "unit")
        pd.testing.assert_frame_equal(cv.summary(scores), pd.DataFrame(rows))
    written = pd.read_csv(out / "summary.csv", dtype={"source": str})
    pd.testing.assert_frame_equal(written, pd.DataFrame(rows))
    with Image.open(out / "scores.png") as picture:
        assert picture.format == "PNG"
    assert "<svg" in (out / "scores.svg").read_text()
    assert "<svg" in (out / "report.html").read_text()


def test_table_is_printed_and_written_where_no_json_is_asked(score, tmp_path, all_files):
    code, out, err = score()
    assert code == 0
    for text in (
        "tiny and",
        f"{N_STIMULI} stimuli",
        "V1: split-half ceiling 0.9",
        "4 units",
        "linear",
    ):
        assert text in " ".join(out.split())
    assert all_files(tmp_path / "results") == WRITTEN
    assert "written to results" in err


def test_table_holds_the_numbers_of_the_rows(score):
    _, out, _ = score(layers="0")
    for row in score("--json", layers="0").rows():
        assert f"{row['r']:.3f} ({row['normalized']:.2f})" in out


def test_table_without_ceiling(score):
    _, out, _ = score(ceiling="none", by="subject")
    assert "a: no ceiling, 4 units" in " ".join(out.split())
