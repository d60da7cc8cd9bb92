"""Linear attention against its theory (Lu et al. 2024, 2405.11751): error on fresh tasks by the number of sequences.

    python -m experiments.linear.theory                                 20, 40 and 80 inputs, two pools
    python -m experiments.linear.theory --dims 10 20 --to runs/theory   seconds; writes theory.md, .json and .png

Nothing is trained: the reduced model is solved as ridge regression with a vanishing penalty, on tau d^2 sequences of
alpha d examples, of tasks from a pool of kappa d or, where kappa is inf, of fresh ones. These are rounded to whole
numbers; the closed form, which is for d to infinity, is asked at the ratios that those have. Near tau = 1 both have no
bound: from 0.8 to 1.25 numbers are shown, and not judged.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab

TAUS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.25, 1.6, 2.0, 3.0)
NEAR_ONE = 0.8, 1.25
TOLERANCE = 0.05
"""A share of the theory that the measured error may be off by at the largest d."""


MOST_DIMS, MOST_POOLS = 5, 12
"""What a picture has room for: series beside the theory, and panels."""


class Row(NamedTuple):
    """What was measured with some options.

    Attributes:
      d: inputs.
      tau: sequences per d^2.
      kappa: tasks of the pool per d; inf for fresh ones.
      theory: the closed form, at the ratios that whole numbers come to.
      errors: measured, of each seed.
    """

    d: int
    tau: float
    kappa: float
    theory: float
    errors: tuple[float, ...]

    @property
    def off(self) -> float:
        """By which share of the theory the mean over seeds is above it."""
        return float(np.mean(self.errors)) / self.theory - 1

    @property
    def uncertainty(self) -> float:
        """The standard error of `off`, over seeds; NaN of one seed."""
        spread = np.std(self.errors, ddof=1) if len(self.errors) > 1 else math.nan
        return float(spread) / math.sqrt(len(self.errors)) / self.theory

    @property
    def is_judged(self) -> bool:
        """Whether tau is away from 1."""
        return not NEAR_ONE[0] <= self.tau <= NEAR_ONE[1]


class Sizes(NamedTuple):
    """Ratios as whole numbers.

    Attributes:
      d: inputs.
      sequences: tau d^2.
      examples: alpha d.
      tasks: kappa d; None for fresh ones.
    """

    d: int
    sequences: int
    examples: int
    tasks: int | None

    def theory(self, rho: float) -> float:
        """Return the closed form at the ratios of these numbers."""
        return evaluation.linear_attention_error(
            tau=self.sequences / self.d**2,
            alpha=self.examples / self.d,
            kappa=math.inf if self.tasks is None else self.tasks / self.d,
            rho=rho,
        )


def sizes_of(d: int, *, tau: float, alpha: float, kappa: float) -> Sizes:
    """Return the whole numbers that ratios come to; refuse those that come to nothing."""
    if not (0 < tau < math.inf and 0 < alpha < math.inf and kappa > 0):
        raise ValueError(f"Wanted tau, alpha and kappa above 0, the first two finite, got {tau}, {alpha} and {kappa}.")
    found = Sizes(d, round(tau * d**2), round(alpha * d), None if kappa == math.inf else round(kappa * d))
    if 0 in found:
        raise ValueError(
            f"With d {d}, tau {tau:g} comes to {found.sequences} sequences, alpha {alpha:g} to {found.examples} "
            f"examples and kappa {kappa:g} to {found.tasks} tasks; ask for larger ones."
        )
    return found


def measured_error(
    d: int, *, tau: float, alpha: float, kappa: float, rho: float, seed: int, tested: int = 1_000
) -> float:
    """Return the error on fresh tasks of linear attention that is fitted to tasks of a pool, the noise's included.

    Args:
      d: inputs.
      tau: sequences per d^2; this and the next three as in `icl_eval.linear_attention_error`.
      alpha: examples of a sequence per d.
      kappa: tasks of the pool per d.
      rho: variance of the noise.
      seed: of the tasks and sequences.
      tested: fresh tasks.
    """
    sizes = sizes_of(d, tau=tau, alpha=alpha, kappa=kappa)

    def sampler(tasks: data.Tasks, stream: str) -> data.FunctionSampler:
        return data.FunctionSampler(
            family=data.LinearOnSphere(num_inputs=d),
            tasks=tasks,
            num_points=sizes.examples + 1,
            queries=data.LastQueries(1),
            inputs=data.NormalInputs(scale=d**-0.5),
            noise=math.sqrt(rho),
            seed=seed,
            stream=stream,
        )

    trained = sampler(data.Tasks(count=sizes.tasks), "train")
    batch = trained.sample(np.arange(sizes.sequences))
    fitted = evaluation.fit_linear_attention(batch["inputs"], batch["targets"])
    fresh = sampler(data.Tasks(first=data.UNSEEN), "fresh")
    batch = fresh.sample(np.arange(tested))
    slopes = fitted.slopes(batch["inputs"], batch["targets"], batch["is_query"])
    # The mean over queries and their noise, which need not be drawn.
    weights = fresh.functions(np.arange(tested)).specs["weights"]
    return float(np.square(weights - slopes).mean()) + rho


def rows(
    dims: Sequence[int], taus: Sequence[float], kappas: Sequence[float], *, alpha: float, rho: float, seeds: int
) -> Iterator[Row]:
    """Refuse what cannot be; then yield what is measured, pool by pool and then from few to many sequences."""
    settings = [(d, tau, kappa) for kappa in kappas for tau in taus for d in dims]
    theory = [sizes_of(d, tau=tau, alpha=alpha, kappa=kappa).theory(rho) for d, tau, kappa in settings]

    def measure(d: int, tau: float, kappa: float) -> tuple[float, ...]:
        return tuple(measured_error(d, tau=tau, alpha=alpha, kappa=kappa, rho=rho, seed=seed) for seed in range(seeds))

    return (Row(*each, expected, measure(*each)) for each, expected in zip(settings, theory, strict=True))


def line(row: Row) -> str:
    """Return a row of the table, in Markdown."""
    off = f"{100 * row.off:+.1f} % +- {100 * row.uncertainty:.1f}" if math.isfinite(row.theory) else ""
    note = "" if row.is_judged else "near 1"
    return f"| {row.kappa:g} | {row.tau:g} | {row.d} | {row.theory:.4g} | {np.mean(row.errors):.4g} | {off} | {note} |"


HEADER = "| kappa | tau | d | theory | measured | off by | |\n|---|---|---|---|---|---|---|"


def verdict(measured: Sequence[Row]) -> str:
    """Return in words whether the theory holds at the largest d, and whether it holds better there than at smaller."""
    dims = sorted({row.d for row in measured})
    judged = [[row for row in measured if row.is_judged and row.d == d] for d in dims]
    if not judged[-1]:
        return "No tau is away from 1, where the theory is not judged."
    held = sum(abs(row.off) <= TOLERANCE for row in judged[-1])
    means = ", ".join(
        f"{100 * np.mean([abs(row.off) for row in of_d]):.1f} % at d {d}" for d, of_d in zip(dims, judged, strict=True)
    )
    return (
        f"Away from tau = 1: within {100 * TOLERANCE:g} % of the theory at d {dims[-1]} in {held} of {len(judged[-1])} "
        f"settings; off by {means} on average."
    )


def picture(measured: Sequence[Row]) -> bytes:
    """Return a figure of the errors beside the theory, a panel for each pool, as a PNG file."""
    panels = {}
    for kappa in dict.fromkeys(row.kappa for row in measured):
        own = [row for row in measured if row.kappa == kappa]
        taus = list(dict.fromkeys(row.tau for row in own))
        series = {
            f"d {d}": [list(row.errors) for row in own if row.d == d] for d in dict.fromkeys(row.d for row in own)
        }
        theory = {row.tau: row.theory for row in own}  # of the largest d, which is the last
        title = "fresh tasks" if kappa == math.inf else f"a pool of {kappa:g} d tasks"
        panels[title] = (taus, {"theory": [[theory[tau]] for tau in taus], **series})
    names: dict[str | int | float | None, str] = {row.tau: f"{row.tau:g}" for row in measured}
    figure = evaluation.against_option(panels, names=names, x_label="sequences per d^2 (tau)", kind="error")
    return evaluation.encode(figure, form="png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table and a verdict, and write them with a picture where that is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.linear.theory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dims", type=int, nargs="+", default=[20, 40, 80], help="inputs, d")
    parser.add_argument("--taus", type=float, nargs="+", default=TAUS, help="sequences per d^2")
    parser.add_argument("--kappas", type=float, nargs="+", default=[0.5, math.inf], help="tasks per d; inf: fresh ones")
    parser.add_argument("--alpha", type=float, default=1.0, help="examples of a sequence per d")
    parser.add_argument("--rho", type=float, default=0.01, help="variance of the noise")
    parser.add_argument("--seeds", type=int, default=4, help="how often all is drawn anew")
    parser.add_argument("--to", type=Path, help="a folder for theory.md, theory.json and theory.png")
    options = parser.parse_args(arguments)
    with lab.one_line_errors():
        if min(options.dims) < 2 or options.seeds < 1:
            raise ValueError(
                f"Wanted --dims of 2 or more and --seeds of 1 or more, got {options.dims}, {options.seeds}."
            )
        dims, taus, kappas = (sorted(set(each)) for each in (options.dims, options.taus, options.kappas))
        to_come = rows(dims, taus, kappas, alpha=options.alpha, rho=options.rho, seeds=options.seeds)
        if options.to is not None:
            if len(dims) > MOST_DIMS or len(kappas) > MOST_POOLS:
                raise ValueError(
                    f"The picture of --to has room for {MOST_DIMS} dims and {MOST_POOLS} kappas, got {len(dims)} and "
                    f"{len(kappas)}; ask for fewer, or leave out --to."
                )
            options.to.mkdir(parents=True, exist_ok=True)
        lab.say(HEADER)
        measured = []
        for row in to_come:
            measured.append(row)
            lab.say(line(row))
        lab.say(f"\n{verdict(measured)}")
        if options.to is not None:
            write(options.to, measured)
            lab.say(f"written: {options.to}")
    return 0


def write(folder: Path, measured: Sequence[Row]) -> None:
    """Write the table, its numbers and the picture into a folder."""
    text = "\n".join([HEADER, *map(line, measured)]) + f"\n\n{verdict(measured)}\n"
    (folder / "theory.md").write_text(text, encoding="utf-8")
    # JSON has no infinity.
    records = [
        {name: str(value) if value == math.inf else value for name, value in row._asdict().items()} for row in measured
    ]
    (folder / "theory.json").write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    (folder / "theory.png").write_bytes(picture(measured))


if __name__ == "__main__":
    main()
