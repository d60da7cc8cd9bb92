"""The notebook's 15-dimensional families against forward passes written out, number by number, from their weights."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from experiments.functions import tasks
from experiments.functions.config import PRESETS

HIDDEN = {"sigmoid_15": (), "relu_15_20_1": (20,), "relu_15_5_10_4_1": (5, 10, 4)}


def sampler_of(name, **options):
    data = dataclasses.replace(PRESETS["notebook"].data, tasks=name, transfer=("sine",), **options)
    return tasks.make_samplers(dataclasses.replace(PRESETS["notebook"], data=data))["train"]


def forward(numbers, hidden, x):
    """Return a network's output at a point: layer by layer, unit by unit, weights [inputs, units] then biases."""
    numbers, values = list(map(float, numbers)), list(map(float, x))
    for units in (*hidden, 1):
        weights, numbers = numbers[: len(values) * units], numbers[len(values) * units :]
        biases, numbers = numbers[:units], numbers[units:]
        sums = [
            biases[unit] + sum(value * weights[place * units + unit] for place, value in enumerate(values))
            for unit in range(units)
        ]
        is_last = not numbers
        values = [1 / (1 + math.exp(-each)) if is_last else max(each, 0.0) for each in sums]
    return values[0]


@pytest.mark.parametrize("name", HIDDEN)
def test_targets_are_those_of_the_network_with_the_weights_drawn(name):
    sampler, indices = sampler_of(name), np.arange(5)
    batch, functions = sampler.sample(indices), sampler.functions(indices)
    assert batch["inputs"].shape == (5, 500, 15) and (~batch["is_query"][:, -16:]).sum() == 0
    parameters = functions.draws.normals("mlp weights", functions.family.num_parameters)
    points = range(0, 500, 25)
    expected = [
        [forward(parameters[task], HIDDEN[name], batch["inputs"][task, at]) for at in points] for task in range(5)
    ]
    np.testing.assert_allclose(batch["targets"][:, ::25, 0], expected, atol=2e-5)


@pytest.mark.parametrize("name", HIDDEN)
def test_weights_biases_and_inputs_are_standard_normal_and_each_task_has_its_own(name):
    sampler = sampler_of(name, num_tasks=None)
    functions, batch = sampler.functions(np.arange(4_000)), sampler.sample(np.arange(40))
    parameters = functions.draws.normals("mlp weights", functions.family.num_parameters)
    assert len(np.unique(parameters[:, 0])) == 4_000 and len(np.unique(batch["inputs"][:, 0, 0])) == 40
    for values in (parameters[:, :15], parameters[:, -1:], batch["inputs"]):  # the first weights, the last bias
        distance = scipy.stats.kstest(values.ravel(), "norm").statistic
        assert distance < 2 / math.sqrt(values.size)
    assert abs(np.corrcoef(parameters[:, 0], parameters[:, 1])[0, 1]) < 4 / math.sqrt(4_000)


@pytest.mark.parametrize("name", HIDDEN)
def test_targets_have_the_moments_of_the_integral_over_the_last_layer(name):
    targets = sampler_of(name, num_tasks=None, points=4, queries=2).sample(np.arange(20_000))["targets"]
    generator = np.random.default_rng(0)
    values = generator.normal(size=(4_000, 15))
    for units in HIDDEN[name]:
        weights, biases = generator.normal(size=(4_000, values.shape[1], units)), generator.normal(size=(4_000, units))
        values = np.maximum(np.einsum("ti,tiu->tu", values, weights) + biases, 0)
    # Given what the last layer reads, h, the sum before the sigmoid is N(0, 1 + |h|^2).
    grid = np.linspace(-8, 8, 1_001)
    sigmoids = scipy.special.expit(np.sqrt(1 + (values**2).sum(axis=1, keepdims=True)) * grid)
    density = scipy.stats.norm.pdf(grid) / scipy.stats.norm.pdf(grid).sum()
    for power, expected in ((1, 0.5), (2, ((sigmoids**2) @ density).mean()), (4, ((sigmoids**4) @ density).mean())):
        of_tasks = (targets.astype(np.float64) ** power).mean(axis=(1, 2))
        assert abs(of_tasks.mean() - expected) < 5 * of_tasks.std() / math.sqrt(4_000)
    assert targets.min() >= 0 and targets.max() <= 1 and targets.std() > 0.35  # they fill the unit interval
