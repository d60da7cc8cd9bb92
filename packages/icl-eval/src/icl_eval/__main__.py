"""The command line: reports of run folders, comparisons of several, and sweeps as tables.

`python -m icl_eval report runs/x` writes the report of a run, of an ensemble or of a sweep into its folder;
`--to folder` writes it elsewhere, and nothing into the run's; `--reports` writes those of a sweep's runs, too;
`python -m icl_eval compare runs/x runs/y --to figure.png` draws the accuracies of several over training;
`--to comparison.html` puts figures and tables of them on a page;
`python -m icl_eval table runs/s` prints all numbers of the runs below a folder as CSV;
`python -m icl_eval emergence runs/s` prints when the seeds of each setting came to a threshold.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from icl_eval.report.comparison import write_comparison
from icl_eval.report.report import write_report
from icl_eval.sweeps.emergence import Threshold
from icl_eval.sweeps.emergence_table import emergence_table
from icl_eval.sweeps.run_table import RunTable
from icl_eval.sweeps.table import table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit code: 2 for a folder that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m icl_eval", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for add in (_add_report, _add_compare, _add_table, _add_emergence):
        add(commands)
    options = parser.parse_args(arguments)
    try:
        said = options.run(options)
    except (OSError, ValueError) as error:
        _say(f"icl_eval: {error}", sys.stderr)
        return 2
    _say(str(said), sys.stdout)
    return 0


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="write report.html of a run or a sweep, from its folder alone")
    report.add_argument(
        "folder",
        help="the run folder, such as runs/x; of an ensemble its members are compared, of a sweep's the settings",
    )
    report.add_argument("--to", metavar="FOLDER", help="the folder to write into instead of the run's")
    report.add_argument("--png", action="store_true", help="write each figure as figures/<name>.png too")
    report.add_argument("--reports", action="store_true", help="of a sweep, those of all its runs too")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> Any:
    return write_report(options.folder, to=options.to, png=options.png, reports=options.reports)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser("compare", help="draw several runs in one figure or on one page")
    compare.add_argument("folders", nargs="+", help="the run folders; seeds of one run are one line")
    to = "a .png or .svg figure, or an .html page (%(default)s)"
    compare.add_argument("--to", default="comparison.html", metavar="FILE", help=to)
    compare.set_defaults(run=lambda options: write_comparison(options.folders, options.to))


def _add_table(commands: Any) -> None:
    numbers = commands.add_parser("table", help="print all numbers of the runs below a folder as CSV")
    numbers.add_argument("folder", help="the folder of a sweep, such as runs/s")
    numbers.add_argument("--last", action="store_true", help="only the last evaluated step of each run")
    numbers.add_argument("--to", metavar="FILE", help="a .csv or .parquet file to write instead")
    numbers.set_defaults(run=lambda options: _written(table(options.folder, last=options.last), options.to))


def _add_emergence(commands: Any) -> None:
    times = commands.add_parser("emergence", help="print when the seeds of each setting came to a threshold, as CSV")
    times.add_argument("folder", help="the folder of a sweep, such as runs/s")
    times.add_argument("--evaluation", help="of which evaluation (that of the first headline that is a proportion)")
    times.add_argument("--metric", help="which metric of it")
    thresholds = "numbers, or halfway from chance to the last value (0.9 0.95; halfway 0.9 where no run comes to 0.9)"
    times.add_argument("--threshold", nargs="+", type=_threshold, metavar="VALUE", help=thresholds)
    times.add_argument("--held", type=int, default=1, help="evaluations in a row that must be past it (%(default)s)")
    times.add_argument("--against", metavar="OPTION", help="fit a power law of this option, such as data.common")
    times.add_argument("--to", metavar="FILE", help="a .csv or .parquet file to write instead")
    times.set_defaults(run=_emergence)


def _threshold(text: str) -> Threshold:
    return "halfway" if text == "halfway" else float(text)


def _emergence(options: argparse.Namespace) -> str:
    asked = {name: getattr(options, name) for name in ("evaluation", "metric", "held", "against")}
    return _written(emergence_table(options.folder, thresholds=options.threshold, **asked), options.to)


def _written(found: RunTable, to: str | None) -> str:
    """Return what to say of a table: the file that it was written to, or all of it."""
    return found.csv().removesuffix("\n") if to is None else str(found.write(to))


def _say(line: str, stream: Any) -> None:
    """Print a line, if anybody can read it: a full disk or a closed reader makes nothing of what was written undone."""
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(line.encode(encoding, errors="replace").decode(encoding), file=stream, flush=True)
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # else Python tries it again at its end, and fails
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
