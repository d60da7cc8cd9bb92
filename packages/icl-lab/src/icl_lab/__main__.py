"""``python -m icl_lab predict runs/x --train train.csv --ask new.csv --target species``: predictions for a table."""

import sys

import tyro

from icl_lab.learners.tables import predict
from icl_lab.session import one_line_errors, settle_streams

if __name__ == "__main__":
    try:
        with one_line_errors():
            tyro.extras.subcommand_cli_from_dict({"predict": predict}, description=__doc__, args=sys.argv[1:])
    finally:
        settle_streams()
