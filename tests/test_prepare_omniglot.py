import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from icl_data import omniglot

pytestmark = pytest.mark.lengthy

SCRIPT = Path(__file__).parents[1] / "tools" / "prepare_omniglot.py"
pytest.importorskip("tensorflow_datasets", reason='needs pip install "icl-data[tfds]"')


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_the_command_prepares_what_omniglot_reads(small1, tmp_path):
    result = run("--zips", small1, "--to", tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(tmp_path / "omniglot" / "3.0.0")
    assert np.array_equal(omniglot(tmp_path).items, omniglot(small1).items)
    again = run("--zips", small1, "--to", tmp_path)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].endswith("exists already; remove it or name another folder.")


def test_a_mistake_gets_one_line(tmp_path):
    result = run("--zips", tmp_path / "nowhere.zip", "--to", tmp_path / "data")
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1 and "No Omniglot zip at" in result.stderr
    assert not (tmp_path / "data").exists()
