"""Macaque V4 and natural images: stimuli and responses from the files of Cowley et al. (2023)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from convergent import Assembly, Card, InputError, Stimuli


def load(card: Card, session: str, file: Callable[[str], Path]) -> tuple[Stimuli, Assembly]:
    """Images and responses of one session.

    Parameters
    ----------
    card : Card
        Of this data set.
    session : str
        Date of the recording, such as ``210325``.
    file : function
        From a path on the card to the verified file.

    Returns
    -------
    stimuli : Stimuli
        Named as in ``210325/image0001.jpg``, with the session, as different images have the same
        name in different archives.
    assembly : Assembly
        Spike counts (stimulus, unit), with ``repeat`` in the session that has single trials, and
        NaN for repeats that were not recorded.

    Raises
    ------
    InputError
        If the numbers of images and responses differ.
    """
    images, responses = (file(path) for path in card.sessions[session].files)
    stimuli = Stimuli.from_zip(images).renamed(lambda name: f"{session}/{name}")
    counts = np.load(responses, allow_pickle=False)  # (unit, stimulus) or (unit, stimulus, repeat)
    if counts.shape[1] != len(stimuli):
        raise InputError(
            f"session {session} has {len(stimuli)} images ({images}) but responses to "
            f"{counts.shape[1]} ({responses}): image i in sorted order is column i, so these files "
            f"do not belong together. Correct the card {card.folder / 'card.toml'}."
        )
    assembly = Assembly.from_array(
        counts,
        dims=("unit", "stimulus", "repeat")[: counts.ndim],
        stimuli=stimuli.names,
        units=[f"{session}-unit{i:02d}" for i in range(len(counts))],
        name="V4",
        region="V4",
        subject=card.sessions[session].subject,
        session=session,
    )
    return stimuli, assembly
