"""Coverage where responses are not Gaussian, or other things than stimuli are drawn."""

from __future__ import annotations

import numpy as np
from simulations import draw_latents, draw_network, draw_units, labelled, repeated

import convergent as cv

REPEATS = 6
OF_GROUP = 0.7  # share of the variance of the latents that stimuli of a group have in common

# by name: number of stimuli, and what differs from Gaussian stimuli and fixed units
REGIMES = {
    "gaussian-n60": {"n_stimuli": 60},
    "t3-n60": {"n_stimuli": 60, "responses": "t3"},
    "t3-n200": {"n_stimuli": 200, "responses": "t3"},
    "t3-n600": {"n_stimuli": 600, "responses": "t3"},
    "poisson-n60": {"n_stimuli": 60, "responses": "poisson"},
    "sparse-n60": {"n_stimuli": 60, "responses": "sparse"},
    "groups15x4": {"n_stimuli": 60, "of_group": 4},
    "groups30x4": {"n_stimuli": 120, "of_group": 4},
    "units20-n200": {"n_stimuli": 200, "over": "units"},
    "subjects12-n200": {"n_stimuli": 200, "over": "subjects"},
    "one-unit-n60": {"n_stimuli": 60, "q": 1},
}


def simulate(rng, n_stimuli, responses="gaussian", of_group=1, over="", q=20):
    """Two sources and a target of a regime.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything but the units, which are the same in every experiment unless drawn.
    n_stimuli : int
        Number of stimuli.
    responses : {"gaussian", "t3", "poisson", "sparse"}
        Distribution of the target's responses; with t3 the sources' as well: all of a stimulus is
        scaled alike, so that the signals are multivariate t with 3 degrees of freedom.
    of_group : int
        Stimuli of a group, which have 70% of the variance of their latents in common.
    over : {"", "units", "subjects"}
        What is new in every experiment beside the stimuli; 12 subjects of 8 units.
    q : int
        Number of target units, where there are no subjects.

    Returns
    -------
    sources : dict of Assembly
    target : Assembly
    """
    which = rng if over else np.random.default_rng(2)
    units = draw_units(which, of_each=q)
    if over == "subjects":
        units = draw_units(rng, 12, of_each=8, spread=0.12)
    group = np.arange(n_stimuli) // of_group
    latent, unknown = (_in_groups(group, rng) for _ in range(2))
    if responses == "t3":
        scale = 1 / np.sqrt(rng.chisquare(3, size=(n_stimuli, 1)) / 3)
        latent, unknown = latent * scale, unknown * scale
    rest = np.sqrt(1 - units.strength**2)
    signal = units.strength * (latent @ units.shared) + rest * (unknown @ units.other)
    coords = {"group": ("stimulus", group)}
    target = labelled(
        _trials(signal, units.noise, responses, rng),
        "recorded",
        subject=("unit", units.subject),
        **coords,
    )
    sources = {
        name: labelled(draw_network(latent, noise, rng), "network", **coords)
        for name, noise in (("A", 0.5), ("B", 0.7))
    }
    return sources, target


def _in_groups(group, rng):
    """Latents of variance 1, in part the same for all stimuli of a group."""
    own = draw_latents(len(group), rng)
    if len(np.unique(group)) == len(group):
        return own
    common = draw_latents(int(group.max()) + 1, rng)[group]
    return np.sqrt(OF_GROUP) * common + np.sqrt(1 - OF_GROUP) * own


def _trials(signal, noise, responses, rng):
    """Trials (n, q, repeats) of a signal of variance 1."""
    if responses == "poisson":
        rate = 1.5 * np.exp(0.8 * signal - 0.3)
        return rng.poisson(rate[:, :, None], (*signal.shape, REPEATS)).astype(float)
    if responses == "sparse":  # about one stimulus in six
        return repeated(3 * np.maximum(signal - 1, 0), 0.7 * noise, REPEATS, rng)
    return repeated(signal, noise, REPEATS, rng)


def scored(rng, samples, metrics, ceiling="split-half", of_group=1, over="", **regime):
    """Scores of both sources with resamples of what is drawn in the regime."""
    sources, target = simulate(rng, of_group=of_group, over=over, **regime)
    bootstrap = cv.Bootstrap(
        samples, over=("stimuli", *([over] if over else [])), seed=int(rng.integers(2**31))
    )
    folds = cv.Folds(group="group" if of_group > 1 else None)
    return cv.score(sources, target, metrics, folds=folds, ceiling=ceiling, bootstrap=bootstrap)
