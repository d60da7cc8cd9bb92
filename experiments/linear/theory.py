"""Linear attention against its theory (Lu et al. 2024, 2405.11751): error on fresh tasks by the number of sequences.

    python -m experiments.linear.theory                                 20, 40 and 80 inputs, two pools
    python -m experiments.linear.theory --dims 10 20 --to runs/theory   seconds; writes theory.md, .json and .png

Nothing is trained: the reduced model is solved as ridge regression with a vanishing penalty, on tau d^2 sequences of
alpha d examples, of tasks from a pool of kappa d or, where kappa is inf, of fresh ones. The closed form is for d to
infinity. Near tau = 1 both have no bound: from 0.8 to 1.25 numbers are shown, and not judged.
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


class Row(NamedTuple):
    """What was measured with some options.

    Attributes:
      d: inputs.
      tau: sequences per d^2.
      kappa: tasks of the pool per d; inf for fresh ones.
      theory: the closed form.
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

    def sampler(tasks: data.Tasks, stream: str) -> data.FunctionSampler:
        return data.FunctionSampler(
            family=data.LinearOnSphere(num_inputs=d),
            tasks=tasks,
            num_points=round(alpha * d) + 1,
            queries=data.LastQueries(1),
            inputs=data.NormalInputs(scale=d**-0.5),
            noise=math.sqrt(rho),
            seed=seed,
            stream=stream,
        )

    trained = sampler(data.Tasks(count=None if kappa == math.inf else round(kappa * d)), "train")
    batch = trained.sample(np.arange(round(tau * d**2)))
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
    """Yield what is measured, pool by pool and then from few to many sequences."""
    for kappa in kappas:
        for tau in taus:
            theory = evaluation.linear_attention_error(tau=tau, alpha=alpha, kappa=kappa, rho=rho)
            for d in dims:
                errors = tuple(
                    measured_error(d, tau=tau, alpha=alpha, kappa=kappa, rho=rho, seed=seed) for seed in range(seeds)
                )
                yield Row(d, tau, kappa, theory, errors)


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
        theory = {row.tau: row.theory for row in own}
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
        dims, taus = sorted(set(options.dims)), sorted(set(options.taus))
        lab.say(HEADER)
        measured = []
        for row in rows(dims, taus, options.kappas, alpha=options.alpha, rho=options.rho, seeds=options.seeds):
            measured.append(row)
            lab.say(line(row))
        lab.say(f"\n{verdict(measured)}")
        if options.to is not None:
            write(options.to, measured)
            lab.say(f"written: {options.to}")
    return 0


def write(folder: Path, measured: Sequence[Row]) -> None:
    """Write the table, its numbers and the picture into a folder, which is made if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
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
