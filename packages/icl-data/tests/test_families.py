"""Families of functions: each task has its own, made again from its number, and the shapes are what they say."""

import dataclasses

import numpy as np
import pytest

from icl_data import (
    KNOWN_FAMILIES,
    AbsoluteValue,
    Affine,
    DecisionTree,
    Family,
    GaussianProcessDraw,
    Linear,
    LinearOnSphere,
    PiecewiseLinear,
    Polynomial,
    RandomMLP,
    ReluNetwork,
    Sine,
    SparseLinear,
    StepFunction,
    draw_functions,
)

ALL = KNOWN_FAMILIES | {
    "mlp": RandomMLP(num_inputs=2, num_outputs=3, hidden=(8, 4), activations="mixed", weight_scale=(0.5, 4.0)),
    "one_layer": RandomMLP(num_inputs=15, hidden=(), output_activation="sigmoid"),
    "on_sphere": LinearOnSphere(num_inputs=8),
    "in_3d": Sine(num_inputs=3),
    "tree_of_garg": DecisionTree(num_inputs=20, depth=4, thresholds=(0.0, 0.0)),
}


def functions_of(family, numbers, seed=0):
    return draw_functions(family, seed=seed, numbers=np.asarray(numbers))


def points(family, tasks, count=20, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, size=(tasks, count, family.num_inputs)).astype(np.float32)


@pytest.mark.parametrize("name", ALL)
def test_a_function_depends_on_its_number_alone_and_differs_from_others(name):
    family = ALL[name]
    assert isinstance(family, Family)
    numbers = [4, 2**62, 4, 0]
    x = np.repeat(points(family, 1), 4, axis=0)
    y = functions_of(family, numbers)(x)
    assert y.shape == (4, 20, family.num_outputs) and y.dtype == np.float32 and np.isfinite(y).all()
    assert np.array_equal(y[0], y[2])
    for place, number in enumerate(numbers):
        assert np.allclose(functions_of(family, [number])(x[:1])[0], y[place], atol=1e-5, rtol=1e-5)
    for one, other in ((0, 1), (1, 3), (0, 3)):
        assert not np.allclose(y[one], y[other])
    assert not np.allclose(functions_of(family, numbers, seed=1)(x), y)


def test_families_that_draw_alike_have_nothing_in_common():
    numbers = range(500)
    for one, other, spec in ((AbsoluteValue(), StepFunction(), "centre"), (Linear(), Affine(), "weights")):
        first, second = (functions_of(family, numbers).specs[spec].ravel() for family in (one, other))
        assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(500)


@pytest.mark.parametrize("name", ALL)
def test_a_function_is_evaluated_point_by_point(name):
    family = ALL[name]
    functions, x = functions_of(family, range(5)), points(family, 5)
    order = np.random.default_rng(1).permutation(20)
    y = functions(x)
    assert np.allclose(functions(x[:, order]), y[:, order], atol=1e-5)
    assert np.allclose(functions(x[:, 3:4]), y[:, 3:4], atol=1e-5)


@pytest.mark.parametrize("name", KNOWN_FAMILIES)
def test_a_family_can_have_more_inputs(name):
    family = dataclasses.replace(KNOWN_FAMILIES[name], num_inputs=5)
    y = functions_of(family, range(8))(points(family, 8))
    assert y.shape == (8, 20, 1) and np.isfinite(y).all()


def test_random_networks_agree_with_one_written_out():
    family = RandomMLP(num_inputs=2, num_outputs=3, hidden=(5, 4), activations=("relu", "swish"), bias_scale=0.5)
    functions, x = functions_of(family, [11]), points(family, 1, count=6)
    numbers = functions.draws.normals("mlp weights", family.num_parameters)[0].astype(np.float64)
    assert family.num_parameters == 2 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3
    w1, b1, w2, b2, w3, b3 = np.split(numbers, np.cumsum([10, 5, 20, 4, 12]))
    for point in range(6):
        hidden = np.maximum(x[0, point] @ w1.reshape(2, 5) / np.sqrt(2) + 0.5 * b1, 0)
        hidden = hidden @ w2.reshape(5, 4) / np.sqrt(5) + 0.5 * b2
        hidden = hidden / (1 + np.exp(-hidden))
        expected = hidden @ w3.reshape(4, 3) / np.sqrt(4) + 0.5 * b3
        assert np.allclose(functions(x)[0, point], expected, atol=1e-5)


def test_scales_that_are_ranges_are_drawn_for_each_task_within_them():
    specs = functions_of(RandomMLP(weight_scale=(0.1, 10.0), bias_scale=(1.0, 2.0)), range(2_000)).specs
    assert 0.1 <= specs["weight_scale"].min() < 0.11 and 9 < specs["weight_scale"].max() <= 10
    assert abs(np.mean(specs["weight_scale"] < 1) - 0.5) < 0.05  # uniform in the logarithm
    assert specs["bias_scale"].min() >= 1 and specs["bias_scale"].max() <= 2


def test_mixed_activations_are_drawn_for_each_layer_of_each_task():
    family = RandomMLP(hidden=(8, 8), activations="mixed")
    chosen = functions_of(family, range(400)).specs["activation"]
    assert chosen.shape == (400, 3) and set(chosen[:, 0]) == {0, 1, 2, 3} and set(chosen[:, 2]) == {4}
    assert (chosen[:, 0] != chosen[:, 1]).any()
    relu = dataclasses.replace(family, activations="relu")
    x, both = points(family, 400), (chosen[:, :2] == 1).all(axis=1)
    mixed, pure = functions_of(family, range(400))(x), functions_of(relu, range(400))(x)
    assert np.allclose(mixed[both], pure[both], atol=1e-5) and not np.allclose(mixed[~both], pure[~both], atol=1e-2)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (0,)},
        {"num_inputs": 0},
        {"activations": ("tanh",)},
        {"weight_scale": -1.0},
        {"weight_scale": (0.0, 1.0)},
        {"bias_scale": (2.0, 1.0)},
    ],
)
def test_networks_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=r"hidden|activation|scale"):
        RandomMLP(**options)


def test_lines_go_through_the_origin_with_their_slopes():
    functions = functions_of(Linear(slopes=(0.1, 0.5)), range(500))
    slopes = functions(np.ones((500, 1, 1), np.float32))[:, 0, 0]
    assert np.allclose(functions(np.zeros((500, 1, 1), np.float32)), 0)
    assert 0.1 <= slopes.min() < 0.11 and 0.49 < slopes.max() <= 0.5


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_polynomial_has_its_degree(degree):
    functions = functions_of(Polynomial(degree=degree), range(4))
    grid = np.linspace(-1, 1, 9, dtype=np.float32)[None, :, None].repeat(4, 0)
    y = functions(grid)[:, :, 0].astype(np.float64)
    assert np.abs(np.diff(y, n=degree, axis=1)).min() > 1e-4
    assert np.abs(np.diff(y, n=degree + 1, axis=1)).max() < 1e-4
    assert np.allclose(y[:, 4], functions.specs["coefficients"][:, 0], atol=1e-6)


def test_sines_are_in_their_ranges():
    specs = functions_of(Sine(), range(3_000)).specs
    for name, low, high in (("amplitude", 0.1, 5), ("frequency", 0, 8), ("phase", 0, 3)):
        assert low <= specs[name].min() < low + 0.05 and high - 0.05 < specs[name].max() <= high
    functions = functions_of(Sine(), [8])
    amplitude, frequency, phase = (functions.specs[name][0] for name in ("amplitude", "frequency", "phase"))
    x = points(Sine(), 1)
    assert np.allclose(functions(x), amplitude * np.sin(frequency * x + phase), atol=1e-5)


def test_a_step_has_two_values_and_one_jump():
    functions = functions_of(StepFunction(), range(20))
    grid = np.linspace(-1, 1, 201, dtype=np.float32)[None, :, None].repeat(20, 0)
    jumps = np.abs(np.diff(functions(grid)[:, :, 0], axis=1)) > 1e-6
    assert (jumps.sum(axis=1) == 1).all()
    assert np.allclose(grid[0, 1:, 0][jumps.argmax(axis=1)], functions.specs["centre"], atol=0.011)


def test_pieces_agree_with_numpys_interpolation():
    functions = functions_of(PiecewiseLinear(pieces=5), range(30))
    x = np.random.default_rng(0).uniform(-1.5, 1.5, size=(30, 40, 1)).astype(np.float32)
    expected = [
        np.interp(x[task, :, 0], functions.specs["knots"][task], functions.specs["heights"][task]) for task in range(30)
    ]
    assert np.allclose(functions(x)[:, :, 0], expected, atol=1e-4)


def test_sparse_weights_are_sparse_and_anywhere():
    weights = functions_of(SparseLinear(num_inputs=20, nonzero=3), range(2_000)).specs["weights"]
    assert ((weights != 0).sum(axis=1) == 3).all()
    assert np.abs((weights != 0).mean(axis=0) - 0.15).max() < 0.04
    with pytest.raises(ValueError, match="nonzero"):
        SparseLinear(num_inputs=2, nonzero=3)


def test_a_relu_network_agrees_with_one_written_out_and_has_the_variance_of_garg():
    functions = functions_of(ReluNetwork(num_inputs=4, hidden=7, bias_scale=1.0), [5])
    x, specs = points(functions.family, 1), functions.specs
    expected = np.maximum(x[0] @ specs["weights"][0] + specs["biases"][0], 0) @ specs["heights"][0]
    assert np.allclose(functions(x)[0, :, 0], expected, atol=1e-5)
    heights = functions_of(ReluNetwork(hidden=100), range(1_000)).specs["heights"]
    assert abs(heights.var() * 50 - 1) < 0.02
    assert not functions_of(ReluNetwork(), [0]).specs["biases"].any()


def test_a_tree_agrees_with_a_walk_down_it():
    family = DecisionTree(num_inputs=3, depth=3)
    functions, x = functions_of(family, range(10)), points(family, 10)
    y, specs = functions(x), functions.specs
    for task in range(10):
        for point in range(20):
            node = 0
            for _ in range(3):
                right = x[task, point, specs["inputs"][task, node]] > specs["thresholds"][task, node]
                node = 2 * node + (2 if right else 1)
            assert y[task, point, 0] == specs["leaves"][task, node - 7]


def test_draws_of_a_gaussian_process_have_its_covariance():
    family = GaussianProcessDraw(length_scale=0.3)
    x = np.linspace(-1, 1, 9, dtype=np.float32)[None, :, None].repeat(8_000, 0)
    y = functions_of(family, range(8_000))(x)[:, :, 0].astype(np.float64)
    distance = x[0] - x[0].T
    assert np.abs(y.T @ y / 8_000 - np.exp(-(distance**2) / (2 * 0.3**2))).max() < 0.06
    assert np.abs(y.mean(axis=0)).max() < 0.05
    assert abs((y**4).mean() / (y**2).mean() ** 2 - 3) < 0.2  # as good as normal


def test_what_is_asked_must_fit_the_functions():
    functions = functions_of(Sine(num_inputs=2), [0, 1])
    for shape in ((2, 5, 1), (1, 5, 2)):
        with pytest.raises(ValueError, match=r"want inputs \[2, N, 2\]"):
            functions(np.zeros(shape, np.float32))
