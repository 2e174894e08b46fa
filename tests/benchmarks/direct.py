"""The three metrics by a direct program, against convergent, in one run on the same arrays.

The direct program has no Gram matrices and no shortcuts: `numpy.linalg.svd` of each training fold,
`sklearn.linear_model.RidgeCV` with a penalty for each target, and `ot.emd` on all pairs. Run it as

    CONVERGENT_DATA=... python tests/benchmarks/direct.py [--layer _blocks.8] [--spatial flatten]

Without the recordings it takes the virtual cortex. Prints one row a program: seconds of wall time
(median of the rounds), peak memory, and how far the scores lie apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import ot
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

import convergent as cv


def pearson(a, b):
    """Correlation of each column."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))


def linear(x, y, x_test, y_test):
    """Ridge, its penalty chosen for each target by leave-one-out."""
    penalties = np.logspace(-4, 6, 21) * ((x - x.mean(0)) ** 2).sum(1).mean()
    return pearson(RidgeCV(penalties, alpha_per_target=True).fit(x, y).predict(x_test), y_test)


def procrustes(x, y, x_test, y_test):
    """Orthogonal map within the span of the training stimuli."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    u, s, v = np.linalg.svd(x - mean_x, full_matrices=False)
    keep = s > 1e-10 * s[0]
    u, s, v = u[:, keep], s[keep], v[keep]
    a, _, b = np.linalg.svd((u * s).T @ (y - mean_y), full_matrices=False)
    return pearson((x_test - mean_x) @ v.T @ a @ b, y_test)


def soft_matching(x, y, x_test, y_test):
    """Transport on the correlations of all pairs."""
    vary = x.std(0) > 0
    x, x_test = x[:, vary], x_test[:, vary]
    p, q = x.shape[1], y.shape[1]
    zx, zy = (x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0)
    plan = ot.emd(np.full(p, 1 / p), np.full(q, 1 / q), 1 - zx.T @ zy / len(x), numItermax=10**8)
    r = np.zeros(q)
    for i, j in np.argwhere(plan > 0):
        a, b = x_test[:, i], y_test[:, j]
        if a.std() > 0:
            r[j] += q * plan[i, j] * np.corrcoef(a, b)[0, 1]
    return r


DIRECT = {"linear": linear, "procrustes": procrustes, "soft-matching": soft_matching}


def run_direct(x, y, metrics):
    """Median over units of the mean over folds."""
    folds = list(KFold(5, shuffle=True, random_state=0).split(x))
    return {
        name: float(
            np.median(np.mean([DIRECT[name](x[a], y[a], x[b], y[b]) for a, b in folds], axis=0))
        )
        for name in metrics
    }


def run_convergent(x, y, metrics):
    """The same, from arrays to scores."""
    names = [f"{i:05d}" for i in range(len(x))]
    source = cv.Assembly.from_array(x, stimuli=names)
    target = cv.Assembly.from_array(y, stimuli=names)
    table = cv.summary(cv.score(source, target, list(metrics), ceiling=None))
    return dict(zip(table["metric"], table["r"], strict=True))


RUN = {"direct": run_direct, "convergent": run_convergent}


def one(program, file, metrics):
    """Run one program in this process and print what it took."""
    with np.load(file) as arrays:
        x, y = arrays["x"], arrays["y"]
    start = time.perf_counter()
    scores = RUN[program](x, y, metrics)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024, "scores": scores}))


def main():
    """Extract a layer, then run both programs in turn, each time in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="_blocks.8")
    parser.add_argument("--spatial", default="flatten")
    parser.add_argument("--metrics", default=",".join(cv.METRICS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    metrics = options.metrics.split(",")
    if options.one:
        one(*options.one, metrics)
        return
    here = cv.data_root() / "cowley2023" / "images" / "images_210325.zip"
    stimuli, recording = (
        cv.load("cowley2023", session="210325") if here.exists() else cv.load("virtual-cortex")
    )
    layer = cv.extract(
        cv.network("efficientnet-lite0"), stimuli, [options.layer], spatial=options.spatial
    )[options.layer]
    source, target = cv.align(layer, recording.average())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arrays.npz"
        np.savez(file, x=source.data.values, y=target.data.values)
        command = [sys.executable, __file__, "--metrics", options.metrics, "--one"]
        found = {name: [] for name in RUN}
        for _ in range(options.rounds):
            for name in RUN:
                done = subprocess.run([*command, name, str(file)], check=True, capture_output=True)
                found[name].append(json.loads(done.stdout))
    shape = (
        f"{source.data.shape[0]} stimuli, {source.data.shape[1]} -> {target.data.shape[1]} units"
    )
    print(f"{recording.name}, {options.layer} {options.spatial}: {shape}, five folds")
    seconds = {name: np.median([run["seconds"] for run in runs]) for name, runs in found.items()}
    for name, runs in found.items():
        memory = np.median([run["peak_mb"] for run in runs])
        print(f"{name:>10}: {seconds[name]:6.2f} s, {memory:6.0f} MB at its peak")
    direct, ours = found["direct"][0]["scores"], found["convergent"][0]["scores"]
    apart = max(abs(direct[metric] - ours[metric]) for metric in metrics)
    print(
        f"     ratio: {seconds['direct'] / seconds['convergent']:6.2f} times, "
        f"scores within {apart:.1e}"
    )


if __name__ == "__main__":
    main()
