"""The command line: `python -m icl_eval report runs/x` writes the report of a run folder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from icl_eval.report import write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code, 2 for a folder that has no report to give."""
    parser = argparse.ArgumentParser(prog="python -m icl_eval", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    report = commands.add_parser("report", help="write report.html of a run, from its folder alone")
    report.add_argument("folder", type=Path, help="the run folder, such as runs/x")
    options = parser.parse_args(arguments)
    try:
        print(write_report(options.folder))
    except (OSError, ValueError) as error:
        print(f"icl_eval: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
