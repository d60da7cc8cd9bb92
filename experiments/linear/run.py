"""Linear regression in context, from a configuration."""

import functools

import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.linear import optimal
from experiments.linear.config import PRESETS, LinearConfig
from experiments.linear.sweeps import SWEEPS
from experiments.linear.tasks import are_shown, make_samplers

HEADLINES = tuple(
    evaluation.Headline(name=name, evaluation=stream, metric="squared_error", title=title, sentence=sentence)
    for name, stream, title, sentence in (
        ("unseen", lab.UNSEEN, "Unseen tasks", "Squared error on linear functions that were not trained on."),
        ("seen", lab.SEEN, "Seen tasks", "Squared error on linear functions that were trained on."),
    )
)

NAMES = lab.SEEN, lab.UNSEEN


def build(config: LinearConfig) -> lab.Experiment[LinearConfig]:
    """Return the experiment of a configuration."""
    return interleaved(config) if config.model.layout == "interleaved" else masked(config)


def masked(config: LinearConfig) -> lab.Experiment[LinearConfig]:
    """Return the experiment in which queries see the context, and are asked about at the end of few and many points."""
    X, context = config.data.num_inputs, config.data.points - config.data.queries
    regressor = make_regressor(config)
    baselines: dict[str, evaluation.Regressor] = {
        "least squares": evaluation.LeastSquares(intercept=False),
        "3-NN": evaluation.NearestNeighbours(k=3),
    }
    asked = min(config.eval.final_count, config.eval.baseline_count)
    measure = evaluation.evaluate_functions
    compared = functools.partial(
        measure,
        context_sizes=lab.context_sizes(context),
        baselines={name: each.predict for name, each in baselines.items() if asked},
        baseline_count=asked or None,
    )
    return lab.Experiment(
        *lab.regression(regressor),
        samplers=make_samplers,
        at_intervals=lab.evaluations(NAMES, measure, count=config.eval.count),
        at_end=lab.evaluations(NAMES, compared, count=config.eval.final_count),
        headlines=HEADLINES,
        model=regressor,
        learner=lab.SEEN_AND_UNSEEN,
        takes=lab.TakesPoints(num_inputs=X, context=context, inputs="normal", target_std=X**0.5),
    )


def interleaved(config: LinearConfig) -> lab.Experiment[LinearConfig]:
    """Return the experiment in which every point is predicted from those before it, beside the best predictors."""
    regressor = make_regressor(config)

    def evaluations(count: int, *, at_end: bool) -> tuple[lab.Evaluation, ...]:
        measure = functools.partial(optimal.measure, config=config, at_end=at_end)
        return tuple(
            lab.Evaluation(name, (name, lab.POOL), count, functools.partial(measure, name=name)) for name in NAMES
        )

    best, asked = optimal.optimum(config), config.eval.baseline_count > 0
    excess = evaluation.Headline(
        name="excess",
        evaluation=lab.UNSEEN,
        metric=f"excess_{best}",
        title=f"Excess over {best}",
        sentence=f"Squared error on unseen tasks less that of {best}, the best there is on them.",
    )
    moved = evaluation.Headline(
        name="relative_distance",
        evaluation=lab.UNSEEN,
        metric="relative_distance",
        title="From dMMSE to ridge",
        sentence="How far the model has gone from the predictor that remembers the pool, 0, to the one that does not, "
        "1; on unseen tasks.",
    )
    more = ((excess, moved) if optimal.has_dmmse(config) else (excess,)) if asked else ()
    return lab.Experiment(
        *lab.regression(regressor, counted=are_shown if config.data.curriculum else None),
        samplers=make_samplers,
        at_intervals=evaluations(config.eval.count, at_end=False),
        at_end=evaluations(config.eval.final_count, at_end=True),
        headlines=(*HEADLINES, *more),
        model=regressor,
    )


def make_regressor(config: LinearConfig) -> models.PointRegressor:
    """Return the model."""
    options, is_causal = config.model, config.model.layout == "interleaved"
    return models.PointRegressor(
        num_outputs=1,
        trunk=models.Transformer(
            mask="causal_context" if is_causal else "prefix", layers=options.layers, heads=options.heads
        ),
        layout=models.InterleavedPoints() if is_causal else models.MaskedPoints(),
        positions=options.positions or ("learned" if is_causal else "none"),
        width=options.width,
    )


LINEAR = lab.Definition("linear", build, PRESETS, sweeps=SWEEPS)
