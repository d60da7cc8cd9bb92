"""Write Omniglot as a TFDS directory, from the original zip files, without TensorFlow.

python -m tools.prepare_omniglot --zips images_background.zip images_evaluation.zip --to data
python -m tools.prepare_omniglot --to data

Needs ``pip install "icl-data[tfds]"``. Writes ``data/omniglot/3.0.0``: a split for each zip (train, test, small1,
small2), as TFDS's own builder would; 32,460 + 5,440 images from all four take about 20 seconds and 20 MB. Without
``--zips`` it first downloads all four (18 MB, checksums verified) from github.com/brendenlake/omniglot. Ends by
printing the path. ``icl_data.omniglot("data")`` and ``tfds.data_source("omniglot", data_dir="data")`` then read it.
"""

import argparse
from pathlib import Path

from icl_data import prepare_omniglot


def main(arguments: list[str] | None = None) -> None:
    """Read the command line; prepare; print where."""
    description, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zips", type=Path, nargs="+", help="original zip files; without it, all four are downloaded")
    parser.add_argument("--to", type=Path, required=True, help="TFDS's data_dir; made if need be")
    options = parser.parse_args(arguments)
    try:
        print(prepare_omniglot(options.to, zips=options.zips))
    except (ImportError, OSError, ValueError) as error:  # a missing extra or file, no network, a bad zip
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
