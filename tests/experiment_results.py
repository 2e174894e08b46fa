"""Made-up results of experiments, as these return them: of few layers or many, with all or little.

Numbers fall from layer to layer, and rise in training; `rotated` axes are noticed by soft matching
alone. That names and dims are those of real results is tested in `plot/test_experiments.py`.
"""

import json

import numpy as np
import xarray as xr

LAYERS = ["_stem", "_blocks.1", "_head"]  # a leading _ hides a label from a legend
METRICS = ["linear", "procrustes", "soft-matching"]
STEPS = (0.0, 0.25, 0.5, 1.0, 2.0, 12.0)
CONTRASTS = (100, 50, 30, 10, 3, 1)
_HEIGHTS = xr.DataArray([0.9, 0.8, 0.5], {"metric": METRICS})
_CONTROLS = ["shuffled", "rotated"]


def long_names(n):
    return [f"module.encoder.layers.{k}.self_attention.out_proj" for k in range(n)]


def _names(layers):
    return LAYERS if layers is None else long_names(layers)


def _depth(names, dim="layer"):
    return xr.DataArray(np.linspace(0, 1, len(names)), {dim: list(names)})


def _attrs(kind, **more):
    provenance = {"kind": kind, "ceiling": "self", "level": 0.95}
    return {"n_stimuli": 60, "provenance": json.dumps(provenance), **more}


def _chance(r):
    """Scores of controls: those of shuffled stimuli, and of rotated axes."""
    of_rotated = xr.where(r["metric"] == "soft-matching", 0.4 * r, r)
    both = xr.concat([0 * r - 0.03, of_rotated], xr.Variable("chance", _CONTROLS))
    return both.transpose("chance", *r.dims)


def hierarchy(metrics=1, intervals=False, controls=False, layers=None):
    names = _names(layers)
    source, target = _depth(names, "source"), _depth(names, "target")
    r = _HEIGHTS[:metrics] - 0.2 * target - 0.9 * np.abs(source - target)
    r = r.transpose("metric", "source", "target").drop_vars(["source_depth"], errors="ignore")
    dims = ("metric", "target")
    each = np.broadcast_to(np.array(names, dtype=object), (metrics, len(names)))
    found = xr.Dataset({"r": r, "normalized": r, "ceiling": 0 * r.isel(source=0, drop=True) + 1})
    found["partner_of_target"] = dims, each.astype(str)
    found["partner_of_source"] = ("metric", "source"), each.astype(str)
    found["depth_correlation"] = "metric", np.ones(metrics)
    found["diagonal"] = "metric", np.full(metrics, 0.5)
    if intervals:
        sure = np.broadcast_to(0.8 * np.eye(len(names)), (metrics, len(names), len(names)))
        found["sure_of_target"] = ("metric", "target", "source"), sure
        found["sure_of_source"] = ("metric", "source", "target"), sure
        for name in ("depth_correlation", "diagonal"):
            found[f"{name}_low"], found[f"{name}_high"] = found[name] - 0.3, found[name]
    if controls:
        found["r_chance"] = _chance(r)
    depth = np.linspace(0, 1, len(names))
    found = found.assign_coords(source_depth=("source", depth), target_depth=("target", depth))
    return found.assign_attrs(_attrs("hierarchy"))


def trajectory(
    metrics=1, runs=2, intervals=False, controls=False, accuracy=False, layers=None, steps=STEPS
):
    names = [f"seed {k}" for k in range(runs)]
    pairs = [f"{one} > {other}" for k, one in enumerate(names) for other in names[k + 1 :]]
    depth = _depth(_names(layers))
    learned = xr.DataArray(1 - np.exp(-np.array(steps)), {"step": list(steps)})
    start = xr.DataArray([0.1, 0.3], {"against": ["same step", "final"]})
    own = xr.DataArray(0.05 * np.arange(len(pairs)), {"pair": pairs})
    grown = start + (0.95 - start) * learned - 0.3 * depth * learned - own
    r = (_HEIGHTS[:metrics] * grown).transpose("pair", "metric", "against", "step", "layer")
    found = xr.Dataset({"r": r})
    ceiling = 0 * r.isel(pair=0, against=0, drop=True) + 1
    found["ceiling"] = ceiling.expand_dims(run=names[1:])
    for name, values in (("share", r), ("share_overall", r.mean("layer"))):
        first, last = values.isel(step=0, drop=True), values.isel(step=-1, drop=True)
        found[name] = (values.sel(step=1, drop=True) - first) / (last - first)
    if intervals:
        for name in ("r", "share", "share_overall"):
            found[f"{name}_low"], found[f"{name}_high"] = found[name] - 0.1, found[name] + 0.1
    if controls:
        found["r_chance"] = _chance(r)
    if accuracy:
        correct = xr.DataArray(np.linspace(0.1, 0.9, len(steps)), {"step": list(steps)})
        found["accuracy"] = correct.expand_dims(network=names)
        found["accuracy_share"] = found["accuracy"].isel(step=0, drop=True) * 0 + 0.5
    ends = [pair.split(" > ") for pair in pairs]
    found = found.assign_coords(
        depth=("layer", depth.values),
        source_run=("pair", [one for one, _ in ends]),
        target_run=("pair", [other for _, other in ends]),
    )
    return found.assign_attrs(_attrs("trajectory", early=1.0))


def shift(
    metrics=1, intervals=False, controls=False, accuracy=False, layers=None, levels=CONTRASTS
):
    depth = _depth(_names(layers))
    names = [str(level) for level in levels[1:]]
    strength = xr.DataArray(np.arange(1, len(levels)) / len(levels), {"level": names})
    maps = xr.DataArray([1.0, 0.8], {"map": ["transferred", "refitted"]})
    alone = (_HEIGHTS[:metrics] - 0.3 * depth).transpose("metric", "layer")
    drop = (maps * strength * (0.6 + 0.3 * depth)).expand_dims(metric=METRICS[:metrics])
    drop = drop.transpose("metric", "map", "level", "layer")
    found = xr.Dataset({"r_control": alone, "r": alone * (1 - drop), "drop": drop})
    found["r"] = found["r"].transpose(*drop.dims)
    found["slope"] = drop.isel(layer=-1, drop=True) - drop.isel(layer=0, drop=True)
    found["silent"] = ("level", "layer"), np.zeros((len(names), len(depth)), int)
    if intervals:
        for name in ("r_control", "r", "drop", "slope"):
            found[f"{name}_low"], found[f"{name}_high"] = found[name] - 0.1, found[name] + 0.1
    if controls:
        found["r_chance"], found["r_chance_control"] = _chance(found["r"]), _chance(alone)
    if accuracy:
        correct = xr.DataArray(np.linspace(0.9, 0.1, len(levels)), dims="level")
        both = correct.expand_dims(network=["one", "other"])
        found["accuracy_control"] = both.isel(level=0)
        found["accuracy"] = both.isel(level=slice(1, None))
        found["accuracy_drop"] = 1 - found["accuracy"] / found["accuracy_control"]
    found = found.assign_coords(
        depth=("layer", depth.values), target_layer=("layer", depth["layer"].values)
    )
    return found.assign_attrs(_attrs("shift", control=str(levels[0])))
