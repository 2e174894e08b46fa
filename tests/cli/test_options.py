"""Options: literal names equal the real tables, and commands share names, defaults and help."""

from collections import defaultdict
from inspect import signature

import pytest
from typer.main import get_command

import convergent as cv
from convergent import cli
from convergent.cli import completion, options
from convergent.networks import pooling, small, training
from convergent.statistics.ceilings import CEILINGS

COMMANDS = get_command(cli.app).commands
# options that mean something else where networks are trained
OWN = {"train": {"out", "batch_size"}, "findings": {"out"}}
# defaults that depend on the question: of images, and of numbers that some answers need
OWN_DEFAULTS = {"stimuli", "bootstrap", "refits", "shuffle"}


def default_of(function, name):
    return signature(function).parameters[name].default


def test_names_are_those_of_the_tables():
    assert options.METRICS.split(",") == list(cv.METRICS)
    assert options.REFERENCES.split(",") == list(cv.references.REFERENCES)
    assert tuple(CEILINGS) == options.CEILINGS
    assert tuple(cv.DISTORTIONS) == options.DISTORTIONS
    assert tuple(pooling.SPATIAL) == options.SPATIAL
    assert tuple(small.SMALL) == options.SMALL


def test_names_that_are_completed_are_those_of_the_package():
    assert list(completion.NETWORKS) == list(cv.NETWORKS)
    for name, layers in completion.NETWORKS.items():
        net = cv.network(name, pretrained=False)
        assert set(net.default_layers) <= set(layers) <= set(net.layers)


def test_defaults_are_those_of_the_functions():
    assert (cv.Folds().n, cv.Folds().seed) == (options.FOLDS, options.SEED)
    assert default_of(cv.extract, "batch_size") == options.BATCH_SIZE
    assert default_of(cv.extract, "spatial") == default_of(cli.score, "spatial")
    assert default_of(cli.score, "refits") == cv.Bootstrap().refits
    for name in ("images", "held_out", "batch_size", "epochs"):
        assert default_of(cli.train, name) == default_of(cv.train, name)
    assert training.HELD_OUT_SEED == options.HELD_OUT_SEED


@pytest.mark.parametrize("attribute", ["opts", "help", "default"])
def test_an_option_is_the_same_in_all_commands(attribute):
    found = defaultdict(set)
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name not in OWN.get(name, ()):
                found[parameter.name].add(str(getattr(parameter, attribute)))
    different = {name for name, values in found.items() if len(values) > 1}
    assert different <= (OWN_DEFAULTS if attribute == "default" else set())
