"""A null distribution by shuffles, against a direct program that fits everything anew.

The direct program runs `sklearn.linear_model.RidgeCV` and `numpy.linalg.svd` on the units of each
training fold, once a shuffle; as it is slow, it does fewer shuffles, and both are told by shuffle.
Run it as

    CONVERGENT_DATA=... python tests/benchmarks/shuffles.py [--layer _blocks.11] [--shuffles 1000]

Without the recordings it takes the virtual cortex. Prints one row a program: seconds of wall time,
seconds a shuffle, peak memory, and how far the first shuffled scores lie apart.
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
from direct import linear, procrustes
from sklearn.model_selection import KFold

import convergent as cv
from convergent.resampling import draw_resamples

METRICS = {"linear": linear, "procrustes": procrustes}
FOLDS = 5


def run_direct(x, y, shuffles):
    """Median over units of the mean over folds, in the first of the same shuffles."""
    folds = list(KFold(FOLDS, shuffle=True, random_state=0).split(x))
    orders = draw_resamples(None, cv.Shuffle(shuffles), folds).orders
    return [
        [
            float(np.median(np.mean([fit(x[a], z[a], x[b], z[b]) for a, b in folds], axis=0)))
            for z in (y[order] for order in orders)
        ]
        for fit in METRICS.values()
    ]


def run_convergent(x, y, shuffles):
    """The same, from arrays to scores."""
    names = [f"{i:05d}" for i in range(len(x))]
    units = [f"{i:05d}" for i in range(y.shape[1])]
    source = cv.Assembly.from_array(x, stimuli=names)
    target = cv.Assembly.from_array(y, stimuli=names, units=units)
    scores = cv.score(source, target, list(METRICS), ceiling=None, shuffle=cv.Shuffle(shuffles))
    return scores["r_shuffled"].values[:, 0, 0].tolist()


RUN = {"direct": run_direct, "convergent": run_convergent}


def main():
    """Extract a layer, then run each program in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="_blocks.11")
    parser.add_argument("--spatial", default="flatten")
    parser.add_argument("--shuffles", type=int, default=1000)
    parser.add_argument("--direct-shuffles", type=int, default=2)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        program, file, shuffles = options.one
        with np.load(file) as arrays:
            x, y = arrays["x"], arrays["y"]
        start = time.perf_counter()
        null = RUN[program](x, y, int(shuffles))
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mb": peak, "null": null}))
        return
    here = cv.data_root() / "cowley2023" / "images" / "images_210325.zip"
    stimuli, recording = (
        cv.load("cowley2023", session="210325") if here.exists() else cv.load("virtual-cortex")
    )
    layer = cv.extract(
        cv.network("efficientnet-lite0"), stimuli, [options.layer], spatial=options.spatial
    )[options.layer]
    source, target = cv.align(layer, recording.average())
    numbers = {"direct": options.direct_shuffles, "convergent": options.shuffles}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arrays.npz"
        np.savez(file, x=source.data.values, y=target.data.values)
        for name, number in numbers.items():
            command = [sys.executable, __file__, "--one", name, str(file), str(number)]
            done = subprocess.run(command, check=True, capture_output=True)
            found[name] = json.loads(done.stdout)
    shape = (
        f"{source.data.shape[0]} stimuli, {source.data.shape[1]} -> {target.data.shape[1]} units"
    )
    print(f"{recording.name}, {options.layer} {options.spatial}: {shape}, {FOLDS} folds")
    each = {name: run["seconds"] / numbers[name] for name, run in found.items()}
    for name, run in found.items():
        print(
            f"{name:>10}: {numbers[name]} shuffles in {run['seconds']:.1f} s, {each[name]:.3f} s "
            f"each, {run['peak_mb']:.0f} MB at its peak"
        )
    first = min(numbers.values())
    direct, ours = (np.array(run["null"])[:, :first] for run in found.values())
    print(
        f"     ratio: {each['direct'] / each['convergent']:.0f} times, "
        f"scores within {np.abs(direct - ours).max():.1e}"
    )


if __name__ == "__main__":
    main()
