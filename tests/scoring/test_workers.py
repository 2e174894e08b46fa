"""A scheduler and workers as processes of their own, on the loopback address."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

import convergent as cv

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

N_SIDE = 4
PAIRS = N_SIDE * N_SIDE * 3
CLIENT = """
import sys
from pathlib import Path
import convergent as cv
if __name__ == "__main__":
    folder, study, out, scheduler = sys.argv[1:]
    sources, targets = (
        {path.stem: cv.open(path) for path in sorted(Path(folder, side).iterdir())}
        for side in ("sources", "targets")
    )
    if scheduler != "none":
        from distributed import Client
        client = Client(scheduler_file=scheduler)
    scores = cv.score(sources, targets, ceiling=None, study=None if study == "none" else study)
    scores.to_netcdf(out, engine="h5netcdf")
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Layers of two networks in stores, and their scores without a cluster."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "client.py").write_text(CLIENT)
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((240, 60))
    for side in ("sources", "targets"):
        for i in range(N_SIDE):
            values = shared @ rng.standard_normal((60, 260)) + rng.standard_normal((240, 260))
            layer = cv.Assembly.from_array(
                values.astype(np.float32), stimuli=[f"{k:03d}" for k in range(240)]
            )
            layer.save(folder / side / f"{side}{i}.zarr")
    return folder, run_client(folder, "none", "none")


def start(*words):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def start_client(folder, study, scheduler, out="scores.nc"):
    return start(folder / "client.py", folder, study, folder / out, scheduler)


def run_client(folder, study, scheduler):
    client = start_client(folder, study, scheduler)
    _, errors = client.communicate(timeout=300)
    assert client.returncode == 0, errors.decode()
    return xr.load_dataset(folder / "scores.nc", engine="h5netcdf")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers; gives the file that says where the scheduler is."""
    where = tmp_path / "scheduler.json"
    common = ("--scheduler-file", where, "--no-dashboard")
    ports = ("--dashboard-address", ":0")  # others run clusters at the same time
    scheduler = start(
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        *ports,
        *common,
    )
    while not where.exists():
        assert scheduler.poll() is None
        time.sleep(0.1)
    worker = ("-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", *common)
    folder = ("--local-directory", tmp_path)
    workers = [start(*worker, *folder) for _ in range(2)]
    yield where, workers
    for process in (*workers, scheduler):
        process.kill()
        process.communicate()


def pairs_of(study):
    return {path.name: path.stat().st_mtime_ns for path in (study / "pieces").glob("*.npz")}


def wait_for(study, least, client):
    """Wait until so many pairs are finished, and others are not."""
    deadline = time.monotonic() + 120
    while len(found := pairs_of(study)) < least:
        assert client.poll() is None, client.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(found) < PAIRS


def same_table(found, expected):
    assert list(found["source"].values) == list(expected["source"].values)
    np.testing.assert_allclose(found["r"].values, expected["r"].values, atol=1e-9)
    np.testing.assert_allclose(found["similarity"], expected["similarity"], atol=1e-9)


def test_workers_give_the_table_of_this_process(lab, cluster):
    folder, expected = lab
    same_table(run_client(folder, "none", cluster[0]), expected)


TWICE = """
import sys
from pathlib import Path
import numpy as np
import convergent as cv
if __name__ == "__main__":
    from distributed import Client
    folder, scheduler = map(Path, sys.argv[1:])
    source = cv.open(folder / "sources" / "sources0.zarr")
    targets = [cv.open(folder / "targets" / f"targets{i}.zarr") for i in range(2)]
    alone = [cv.score(source, {"V4": target}, ceiling=None) for target in targets]
    with Client(scheduler_file=str(scheduler)):
        found = [cv.score(source, {"V4": target}, ceiling=None) for target in targets]
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_allclose(one["r"], other["r"], atol=1e-9)
"""


EXPERIMENTS = """
import sys
from pathlib import Path
import numpy as np
import xarray as xr
import convergent as cv
if __name__ == "__main__":
    folder, study, out, scheduler = sys.argv[1:]
    one, other = (
        {path.stem[-1]: cv.open(path) for path in sorted(Path(folder, side).iterdir())}
        for side in ("sources", "targets")
    )
    if scheduler != "none":
        from distributed import Client
        client = Client(scheduler_file=scheduler)
    common = {
        "metrics": ["linear", "soft-matching"],
        "folds": cv.Folds(3),
        "bootstrap": cv.Bootstrap(10, refits=2),
        "study": None if study == "none" else study,
    }
    def changed(layers, seed):
        noise = np.random.default_rng(seed)
        return {
            name: cv.Assembly(a.data + noise.standard_normal(a.data.shape).astype("f4"))
            for name, a in layers.items()
        }
    runs = {
        "a": {0.0: changed(one, 0), 1.0: one},
        "b": {0.0: changed(other, 1), 1.0: other},
    }
    trajectory = cv.trajectory(runs, **common)
    levels = ({"whole": side, "noisy": changed(side, 2)} for side in (one, other))
    shift = cv.shift(*levels, **common)
    names = {"trajectory": trajectory, "shift": shift}
    for name, result in names.items():
        result.to_netcdf(f"{out}-{name}.nc", engine="h5netcdf")
"""


def run_experiments(folder, study, scheduler, kill=None):
    (folder / "experiments.py").write_text(EXPERIMENTS)
    client = start(folder / "experiments.py", folder, study, folder / "out", scheduler)
    if kill is not None:
        deadline = time.monotonic() + 120
        while len(pairs_of(study)) < 3 and client.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.poll() is None
        kill.send_signal(signal.SIGKILL)
    _, errors = client.communicate(timeout=400)
    assert client.returncode == 0, errors.decode()
    return [
        xr.load_dataset(folder / f"out-{name}.nc", engine="h5netcdf")
        for name in ("trajectory", "shift")
    ]


def test_workers_do_trajectories_and_shifts_and_survive_a_kill(lab, cluster, tmp_path):
    folder, _ = lab
    scheduler, workers = cluster
    expected = run_experiments(folder, "none", "none")
    found = run_experiments(folder, tmp_path / "study", scheduler, kill=workers[0])
    for one, other in zip(found, expected, strict=True):
        assert set(one.data_vars) == set(other.data_vars)
        for name in one.data_vars:
            np.testing.assert_allclose(one[name], other[name], atol=1e-6, err_msg=name)


def test_targets_of_one_name_are_not_taken_for_each_other(lab, cluster):
    folder, _ = lab
    (folder / "twice.py").write_text(TWICE)
    client = start(folder / "twice.py", folder, cluster[0])
    _, errors = client.communicate(timeout=300)
    assert client.returncode == 0, errors.decode()


def test_a_worker_that_dies_is_replaced_by_the_others(lab, cluster, tmp_path):
    folder, expected = lab
    scheduler, workers = cluster
    study = tmp_path / "study"
    client = start_client(folder, study, scheduler)
    wait_for(study, 3, client)
    workers[0].send_signal(signal.SIGKILL)
    _, errors = client.communicate(timeout=300)
    assert client.returncode == 0, errors.decode()
    same_table(xr.load_dataset(folder / "scores.nc", engine="h5netcdf"), expected)
    assert len(pairs_of(study)) == PAIRS


def test_a_new_client_continues_with_the_missing_pairs(lab, cluster, tmp_path):
    folder, expected = lab
    study = tmp_path / "study"
    client = start_client(folder, study, cluster[0])
    wait_for(study, 3, client)
    client.send_signal(signal.SIGKILL)
    client.communicate()
    before = pairs_of(study)
    damaged = sorted(before)[0]
    content = (study / "pieces" / damaged).read_bytes()
    (study / "pieces" / damaged).write_bytes(content[: len(content) // 2])
    same_table(run_client(folder, study, cluster[0]), expected)
    after = pairs_of(study)
    assert len(after) == PAIRS
    kept = {name for name in before if after[name] == before[name]}
    assert kept == set(before) - {damaged}  # missing pairs and the damaged one were scored
