"""``python -m icl_data``: what it prints and draws."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from icl_data import Bursty, ClassSplit, SequenceSampler, symbols
from icl_data.__main__ import main
from icl_data.inspection.options import KINDS

BRIEF = ["--bank", "symbols", "--count", "200"]


@pytest.fixture
def shown(capsys, monkeypatch, tmp_path):
    """Give a function that runs the command in an empty folder and gives what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        assert main([str(word) for word in words]) == 0
        out, errors = capsys.readouterr()
        assert not errors
        return out

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_works_as_it_stands(kind, shown, tmp_path):
    out = shown(kind, "--count", 300, "--num-classes", 40)
    assert out.startswith(f"{kind}: 9 items a sequence, 32 rare + 4 common + 4 holdout of 40 classes, V = 40 labels\n")
    assert re.search(r"sequence 0 \(seed 0, stream 'train'\): a( [a-i]){7} \([a-i]\)\n", out)
    assert len(re.findall(r"^ +[0-8] +\(?[a-i]\)? +\d+ +\d+ +\d+ +(?:rare|common|holdout)$", out, re.MULTILINE)) == 9
    assert "in none of 300 sequences" in out
    assert out.endswith("contact sheet: icl_data_sheet.png\n")
    with Image.open(tmp_path / "icl_data_sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert min(sheet.size) > 800


def test_what_is_printed_is_what_the_sampler_makes(shown):
    out = shown("bursty", "--bank", "symbols", "--num-classes", 60, "--seed", 5, "--stream", "x", "--index", 41)
    split = ClassSplit(num_classes=60, rare=48, common=6, holdout=6)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=symbols(60).counts, seed=5, stream="x")
    batch = sampler.sample(np.array([41]))
    lines = [line.split() for line in out.splitlines()]
    start = lines.index(["place", "letter", "class", "exemplar", "label", "set"]) + 1
    for column, name in ((2, "classes"), (3, "exemplars"), (4, "labels")):
        assert [int(line[column]) for line in lines[start : start + 9]] == batch[name][0].tolist()
    assert "sequence 41 (seed 5, stream 'x')" in out
    assert "statistics of 20,000 sequences" in out


def test_every_option_of_the_split_and_the_series_changes_what_is_printed(shown):
    plain = shown(*BRIEF)
    assert shown(*BRIEF) == plain
    series = [["--seed", 1], ["--stream", "y"], ["--index", 3], ["--count", 100], ["--length", 10]]
    split = [["--rare", 70], ["--common", 5], ["--holdout", 5], ["--zipf-exponent", 1], ["--split-seed", 3]]
    for words in [*series, *split, ["--zipf-within-sets"], ["--num-classes", 50]]:
        assert shown(*BRIEF, *words) != plain, words


def test_v_is_that_of_the_labels_in_use(shown):
    labels = ["--labels", "polysemy", "--labels-per-class", 4]
    assert "V = 330 labels" in shown(*BRIEF, *labels, "--rare", 80, "--common", 10, "--holdout", 10)
    assert "V = 107 labels" in shown(*BRIEF, "--labels", "offset", "--start", 17)


def test_a_real_omniglot_is_shown(small1, shown, tmp_path):
    out = shown("few_shot", "--omniglot", small1, "--augmented", "--sheet", tmp_path / "o.PNG", "--count", 50)
    assert "of 1088 classes" in out
    assert "group=8" in out
    with Image.open(tmp_path / "o.PNG") as sheet:
        assert sheet.size[0] > 9 * 105


def test_no_sheet_is_written_where_none_is_wanted_or_possible(shown, tmp_path):
    assert shown(*BRIEF).endswith("contact sheet: none, since these items are no images\n")
    assert shown("--no-sheet", "--count", 10).endswith("contact sheet: not asked for\n")
    assert not list(tmp_path.iterdir())


def test_help_has_an_example_and_the_defaults_of_the_kind(capsys):
    for words, said in ((["--help"], "--p-bursty X"), (["few_shot", "--help"], "--ways N")):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 0
        out = capsys.readouterr().out
        assert said in out
        assert "python -m icl_data few_shot --classes holdout --shots 2" in out
        assert all(f"\n  {kind} " in out for kind in KINDS)
        assert max(map(len, out.splitlines())) <= 110


def test_the_module_runs_where_neither_jax_nor_matplotlib_is(tmp_path):
    code = (
        "import runpy, sys\n"
        "sys.modules.update(dict.fromkeys(['jax', 'matplotlib', 'tensorflow', 'tensorflow_datasets']))\n"
        "sys.argv = ['icl_data', 'iid', '--count', '10', '--num-classes', '20']\n"
        "runpy.run_module('icl_data', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert all("jax profiler" in line for line in done.stderr.splitlines())  # Grain says that it does without
    assert (tmp_path / "icl_data_sheet.png").is_file()
