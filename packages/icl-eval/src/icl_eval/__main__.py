"""The command line: reports of run folders, and figures that compare them.

`python -m icl_eval report runs/x` writes the report of a run;
`python -m icl_eval compare runs/x runs/y --to figure.png` draws the in-context accuracy of several over training.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from icl_eval.curve import Curve
from icl_eval.drawing import encode
from icl_eval.figures import comparison
from icl_eval.report import write_report
from icl_eval.run import HEADLINES, read_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code, 2 for a folder that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m icl_eval", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    report = commands.add_parser("report", help="write report.html of a run, from its folder alone")
    report.add_argument("folder", type=Path, help="the run folder, such as runs/x")
    report.set_defaults(run=lambda options: write_report(options.folder))
    compare = commands.add_parser("compare", help="draw the in-context accuracy of several runs in one figure")
    compare.add_argument("folders", type=Path, nargs="+", help="the run folders; their names are the curves'")
    compare.add_argument("--to", type=Path, required=True, help="the figure, a .png or .svg file")
    compare.set_defaults(run=write_comparison)
    options = parser.parse_args(arguments)
    try:
        print(options.run(options))
    except (OSError, ValueError) as error:
        print(f"icl_eval: {error}", file=sys.stderr)
        return 2
    return 0


def write_comparison(options: argparse.Namespace) -> Path:
    """Draw the in-context accuracy of runs; return the figure's path.

    Raises:
      ValueError: a run without it, runs of one name, or a file that is neither .png nor .svg.
    """
    if options.to.suffix not in (".png", ".svg"):
        raise ValueError(f"Wanted a .png or .svg file to draw to, got {options.to}.")
    curves: dict[str, Curve] = {}
    for run in map(read_run, options.folders):
        curve = run.evaluation_curve(*HEADLINES["icl"])
        if curve is None or run.name in curves:
            problem = f"no {HEADLINES['icl'][0]} in {run.name}" if curve is None else f"two folders called {run.name}"
            raise ValueError(f"Wanted run folders of different names, each with evaluations; got {problem}.")
        curves[run.name] = curve
    form: Literal["png", "svg"] = "svg" if options.to.suffix == ".svg" else "png"
    options.to.write_bytes(encode(comparison(curves, title="ICL"), form=form))
    return options.to


if __name__ == "__main__":
    sys.exit(main())
