"""Accuracy of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import as_names, check_type
from ..base.errors import InputError, examples
from ..data.assembly import Assembly
from ..data.names import one_spelling
from ..images.drawings import CATEGORIES

__all__ = ["accuracy"]


def accuracy(
    outputs: Assembly,
    labels: pd.Series | Mapping[str, Any],
    classes: Sequence[str] = CATEGORIES,
) -> float:
    """Share of stimuli for which a classifier's greatest output is that of the right class.

    Parameters
    ----------
    outputs : Assembly
        (stimulus, unit): a classifier's outputs, one unit for each class, as `extract` returns them
        (``extract(network, stimuli, ["classifier"])["classifier"]``).
    labels : pandas.Series or dict
        Class of each stimulus, by stimulus name: a name of `classes` (a number counts as a name if
        its digits are one), or its position in them. Labels of other stimuli are ignored.
    classes : sequence of str
        Names of the classes, in the order of the units; by default, those of `drawings`. After a
        training on other images they are listed under ``classes`` in its ``settings.json``.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    InputError
        If the numbers of units and classes differ, outputs are missing, a stimulus has no label, or
        its label is not a class.

    Examples
    --------
    >>> import convergent as cv
    >>> shapes, net = cv.drawings(32), cv.network("small-plain", pretrained=False)
    >>> outputs = cv.extract(net, shapes, ["classifier"])["classifier"]
    >>> 0 <= cv.accuracy(outputs, shapes.table["category"]) <= 1
    True
    """
    check_type(Assembly, "an Assembly", outputs=outputs)
    check_type((pd.Series, Mapping), "a Series or dict of classes by stimulus name", labels=labels)
    classes = as_names("classes", classes)
    values = outputs.data
    if values.dims != ("stimulus", "unit") or values.sizes["unit"] != len(classes):
        raise InputError(
            f"outputs have dims {dict(values.sizes)}, and there are {len(classes)} classes: give "
            "(stimulus, unit) with one unit for each class, that is, the last layer of a "
            "classifier, and the names of its classes."
        )
    named = {one_spelling(str(name)): label for name, label in labels.items()}
    without = [name for name in outputs.stimuli if name not in named]
    if without:
        raise InputError(
            f"{len(without)} of {len(outputs.stimuli)} stimuli have no label ({examples(without)}; "
            f"labels are given for {examples(named)}): give one for each, by stimulus name."
        )
    right = [_class_number(name, named[name], classes) for name in outputs.stimuli]
    array = np.asarray(values.values)
    if np.isnan(array).any():
        raise InputError(
            f"{int(np.isnan(array).any(1).sum())} stimuli lack outputs (NaN): leave them out."
        )
    return float((array.argmax(1) == right).mean())


def _class_number(stimulus: str, label: Any, classes: Sequence[str]) -> int:
    if str(label) in classes:  # also a number whose digits are the name of a class
        return list(classes).index(str(label))
    whole = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
    if whole and 0 <= label < len(classes):
        return int(label)
    raise InputError(
        f"stimulus {str(stimulus)!r} has the label {label!r}, which is neither one of the "
        f"{len(classes)} classes ({examples(classes)}) nor a number from 0 to {len(classes) - 1}: "
        "correct it, or give the classes of these outputs."
    )
