"""The study in its reduced form: it continues after an interruption, and draws its findings."""

import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from convergent import cli, findings, plot
from convergent.experiments.kapoor2025.plan import REDUCED

PICTURES = [
    "finding-1-metrics.png",
    "finding-2-correspondence.png",
    "finding-3-training.png",
    "finding-4-shift.png",
]


@pytest.mark.slow
def test_the_reduced_study_continues_after_an_interruption(tmp_path, monkeypatch, pairs_done):
    pairs_done.most = 2000
    with pytest.raises(KeyboardInterrupt):
        findings(tmp_path, REDUCED, progress=False)
    kept = {file.name: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nc")}
    assert kept
    pairs_done.most = np.inf
    monkeypatch.setattr(sys, "argv", ["convergent", "findings", "--reduced", f"--out={tmp_path}"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    now = {file.name: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nc")}
    assert kept.items() <= now.items()
    for name in PICTURES:
        assert (tmp_path / name).stat().st_size > 10_000
    table = pd.read_csv(tmp_path / "findings.csv")
    assert table["verdict"].tolist() == ["not decided: fewer than three seeds"] * 4
    with xr.open_dataset(tmp_path / "shift.nc", engine="h5netcdf") as shift:
        assert shift["distortion"].values.tolist() == list(REDUCED.distortions)
        assert shift["level_name"].values.tolist() == [["30", "5"], ["3", "15"]]
        assert shift.sizes["pair"] == len(REDUCED.pairs)
        assert np.isfinite(shift["r"]).all()
    pairs_done.count = 0
    again = findings(tmp_path, REDUCED, progress=False)
    assert not pairs_done.count
    assert again.verdicts["finding"].tolist() == table["finding"].tolist()
    for figure in plot.findings(again).values():
        assert "not decided" in " ".join(figure.get_suptitle().split())
