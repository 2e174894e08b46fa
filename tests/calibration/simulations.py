"""Simulated networks and recordings whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import convergent as cv

LATENTS = 60
NETWORK_UNITS = 60
UNIT_NOISE = (1.0, 2.5)  # least and greatest deviation of a repeat's noise, signal's = 1


def labelled(values, name, **coords):
    """Assembly of (stimulus, unit[, repeat])."""
    return cv.Assembly.from_array(
        values,
        stimuli=[f"image{i:05d}" for i in range(len(values))],
        units=[f"{name}{j:03d}" for j in range(values.shape[1])],
        dims=("stimulus", "unit", "repeat")[: values.ndim],
        name=name,
        **coords,
    )


def rotation(q, rng):
    """Orthogonal matrix (q, q), uniform over all of them."""
    turn, triangle = np.linalg.qr(rng.standard_normal((q, q)))
    return turn * np.sign(np.diagonal(triangle))


def power_law(n, q, rng):
    """Noiseless responses (n, q), Gaussian over stimuli, each unit of variance 1.

    The covariance over units has eigenvalues 1/k in random axes, before units are scaled.
    """
    factor = np.arange(1, q + 1)[:, None] ** -0.5 * rotation(q, rng)
    return rng.standard_normal((n, q)) @ (factor / np.linalg.norm(factor, axis=0))


def repeated(signal, noise, repeats, rng):
    """Trials (n, q, repeats): the signal and independent noise of each repeat.

    Parameters
    ----------
    signal : float array (n, q)
        Noiseless responses.
    noise : float or float array (q,)
        Deviation of the noise of one repeat.
    repeats : int
        Of each stimulus.
    rng : numpy.random.Generator
        Draws the noise.
    """
    size = np.broadcast_to(noise, signal.shape[1:])
    return signal[:, :, None] + size[:, None] * rng.standard_normal((*signal.shape, repeats))


def moved_copies(signal, rng):
    """A perfect model for each metric: rotated, or with its units in another order.

    Returns
    -------
    dict of metric to float array (n, q)
    """
    q = signal.shape[1]
    rotated = signal @ rotation(q, rng)
    return {
        "linear": rotated,
        "procrustes": rotated,
        "soft-matching": signal[:, rng.permutation(q)],
    }


@dataclass(frozen=True, eq=False)
class Units:
    """What the recorded units do: fixed properties, the same for all stimuli.

    Attributes
    ----------
    shared : float array (latents, q)
        Reads, from the latents that the network knows, a signal of variance 1.
    other : float array (latents, q)
        Reads, from latents that the network does not know, a signal of variance 1.
    strength : float array (q,)
        Weight of the shared signal; that of the other is such that the sum has variance 1.
    noise : float array (q,)
        Deviation of the noise of one repeat.
    subject : str array (q,)
        Whose each unit is.
    """

    shared: np.ndarray
    other: np.ndarray
    strength: np.ndarray
    noise: np.ndarray
    subject: np.ndarray

    def record(self, latent, repeats, rng):
        """Trials (n, q, repeats) of responses to stimuli that have these latents (n, latents)."""
        unknown = rng.standard_normal(latent.shape)
        rest = np.sqrt(1 - self.strength**2)
        signal = self.strength * (latent @ self.shared) + rest * (unknown @ self.other)
        return repeated(signal, self.noise, repeats, rng)


def network_weights():
    """Weights (latents, units) of the one network of all experiments, each unit of variance 1."""
    return _readouts(NETWORK_UNITS, np.random.default_rng(1))


def draw_units(rng, subjects=1, of_each=30, spread=0.0):
    """Recorded units: each follows one unit of the network, mixed with a readout of its own.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws them.
    subjects : int
        Number of subjects.
    of_each : int
        Units of each.
    spread : float
        Deviation over subjects of the strength of the shared signal, which is 0.7 on average and
        kept between 0.3 and 0.95.
    """
    q = subjects * of_each
    followed = network_weights()[:, rng.integers(NETWORK_UNITS, size=q)]
    own = _readouts(q, rng)
    strength = np.clip(0.7 + spread * rng.standard_normal(subjects), 0.3, 0.95)
    return Units(
        shared=_of_variance_one(followed + own),
        other=_readouts(q, rng),
        strength=np.repeat(strength, of_each),
        noise=np.exp(rng.uniform(*np.log(UNIT_NOISE), size=q)),
        subject=np.repeat([f"subject{i}" for i in range(subjects)], of_each),
    )


def draw_latents(n, rng):
    """What n stimuli are to the network: independent Gaussian latents (n, latents), variance 1."""
    return rng.standard_normal((n, LATENTS))


def draw_network(latent, noise, rng):
    """Responses (n, units) of the network, each unit with noise of that deviation."""
    clean = latent @ network_weights()
    return clean + noise * rng.standard_normal(clean.shape)


def _readouts(q, rng):
    """Weights (latents, q) of random readouts that weigh latents by a power law."""
    power_law = np.arange(1, LATENTS + 1)[:, None] ** -0.5
    return _of_variance_one(power_law * rng.standard_normal((LATENTS, q)))


def _of_variance_one(weights):
    """The same readouts, scaled so that the signal of each has variance 1."""
    return weights / np.linalg.norm(weights, axis=0)
