"""The tasks of functions: networks to train on, known families to be tested on."""

import dataclasses
import functools

import icl_data as data
import icl_lab as lab
from experiments.functions.config import NAMED_TASKS, NORMAL_INPUTS, TRANSFER, DataConfig, FunctionsConfig

TRANSFER_TO, DRAWN = "transfer_", "drawn_"  # before the names of streams


def make_family(config: DataConfig) -> data.Family:
    """Return the functions to train on."""
    if config.tasks != "mlp":
        return NAMED_TASKS[config.tasks]
    return data.RandomMLP(
        num_inputs=config.num_inputs,
        hidden=config.hidden,
        activations=config.activation,
        weight_scale=config.weight_scale,
        bias_scale=config.bias_scale,
    )


def make_inputs(config: DataConfig, known: str = "") -> data.InputDistribution:
    """Return where the points of the functions to train on lie, or of a known family."""
    is_normal = config.inputs == "normal" or NORMAL_INPUTS & {config.tasks, known}
    return data.NormalInputs() if is_normal else data.UniformInputs()


def is_standardised(config: DataConfig) -> bool:
    """Return whether targets are brought to mean 0 and variance 1 in the context."""
    return config.tasks == "mlp" if config.standardise is None else config.standardise


def transfer_families(config: DataConfig) -> dict[str, data.Family]:
    """Return the known families to be tested on, with as many inputs as those trained on."""
    inputs = make_family(config).num_inputs
    fitting = [name for name in data.KNOWN_FAMILIES if name != "sparse_linear" or inputs >= 3]
    return {
        name: dataclasses.replace(TRANSFER[name], num_inputs=inputs)  # type: ignore[type-var]
        for name in config.transfer or fitting
    }


def make_samplers(config: FunctionsConfig) -> dict[str, data.FunctionSampler]:
    """Return the tasks of training and of each evaluation, and the functions that are drawn for the report."""
    options, family = config.data, make_family(config.data)
    last = data.LastQueries(options.queries)
    trained: data.QueryMask = last if options.query_positions == "last" else data.RandomQueries(options.queries)
    if options.query_fraction is not None:
        trained = data.RandomFraction(low=options.query_fraction[0], high=options.query_fraction[1])
    sampler = functools.partial(
        data.FunctionSampler,
        inputs=make_inputs(options),
        num_points=options.points,
        noise=options.noise,
        standardise=is_standardised(options),
        seed=config.train.seed,
    )
    tasks = lab.task_pools(config, options.num_tasks)
    samplers = {
        lab.TRAIN: sampler(family=family, queries=trained, tasks=tasks[lab.TRAIN]),
        **{
            name: sampler(family=family, queries=last, tasks=tasks[name], stream=name)
            for name in (lab.SEEN, lab.UNSEEN)
        },
    }
    for name, known in transfer_families(options).items():
        stream = f"{TRANSFER_TO}{name}"
        inputs = make_inputs(options, name)
        samplers[stream] = sampler(family=known, inputs=inputs, queries=last, tasks=tasks[lab.UNSEEN], stream=stream)
    if family.num_inputs == 1:
        samplers |= {
            f"{DRAWN}{name}": drawn(each, options.queries) for name, each in samplers.items() if name != lab.TRAIN
        }
    return samplers


def drawn(sampler: data.FunctionSampler, queries: int) -> data.FunctionSampler:
    """Return functions without noise, known at the context and asked for along a grid, to be drawn."""
    side = 2.0 if isinstance(sampler.inputs, data.NormalInputs) else 1.0
    grid = data.ContextThenGrid(context=sampler.inputs, low=-side, high=side)
    points = sampler.num_points - queries + grid.grid
    return dataclasses.replace(sampler, num_points=points, queries=data.LastQueries(grid.grid), inputs=grid, noise=0.0)
