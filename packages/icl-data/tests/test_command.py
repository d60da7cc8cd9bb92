"""``python -m icl_data``: what it prints and draws, and one clear line for every mistake."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from icl_data import Bursty, ClassSplit, Iid, Polysemy, SequenceSampler, describe, symbols
from icl_data.__main__ import KINDS, chosen_bank, chosen_sampler, main, parser
from icl_data.sequences import kinds

BRIEF = ["--source", "symbols", "--count", "200"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Keep the tests out of the user's cache, but draw the glyphs once for all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ICL_DATA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def shown(capsys, monkeypatch, tmp_path):
    """Return a function that runs the command in an empty folder and returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        assert main([str(word) for word in words]) == 0
        out, errors = capsys.readouterr()
        assert not errors
        return out

    return run


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Return a function that runs a command that must fail, and returns its one line."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        assert stopped.value.code == 2
        out, errors = capsys.readouterr()
        assert not out
        assert errors.count("\n") == 1
        assert not list(tmp_path.iterdir())
        return errors

    return run


def chosen(*words, kind="bursty"):
    """Return the sampler and the bank of a command."""
    options = parser(kind).parse_args([str(word) for word in words])
    bank = chosen_bank(options)
    return chosen_sampler(kind, options, bank), bank


def test_every_kind_of_the_package_has_a_name_here():
    of_its_own = set(kinds.__all__) - {"NonBursty", "MixtureOf"}
    assert set(KINDS.values()) == {getattr(kinds, name) for name in of_its_own}
    names = ["bursty", "few_shot", "iid", "label_elsewhere", "mixed", "no_support", "swapped_labels"]
    assert list(KINDS) == [*names, "with_distractor"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_works_as_it_stands(kind, shown, tmp_path):
    out = shown(kind, "--count", 300, "--characters", 40)
    assert out.startswith(
        f"9 items a sequence, 32 rare + 4 common + 4 holdout of 40 classes, V = 40 labels\n{KINDS[kind]()}\n"
    )
    assert ("in none of 300 sequences" in out) == (kind != "with_distractor")
    assert out.endswith("contact sheet: icl_data_sheet.png\n")
    with Image.open(tmp_path / "icl_data_sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert min(sheet.size) > 800


def test_what_is_printed_describes_the_sampler(shown):
    out = shown("bursty", "--source", "symbols", "--characters", 60, "--seed", 5, "--stream", "x", "--index", 41)
    split = ClassSplit(num_classes=60, rare=48, common=6, holdout=6)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=symbols(60).counts, seed=5, stream="x")
    assert out == f"{describe(sampler, index=41)}\n\ncontact sheet: none\n"


def test_every_option_of_the_split_and_the_series_changes_what_is_printed(shown):
    plain = shown(*BRIEF)
    assert shown(*BRIEF) == plain
    series = [["--seed", 1], ["--stream", "y"], ["--index", 3], ["--count", 100], ["--length", 10]]
    split = [["--rare", 70], ["--common", 5], ["--holdout", 5], ["--zipf-exponent", 1], ["--split-seed", 3]]
    for words in [*series, *split, ["--labels-per-class", 4], ["--characters", 50]]:
        assert shown(*BRIEF, *words) != plain, words


def test_a_field_that_is_called_as_an_option_of_all_kinds_has_an_option_of_its_own(monkeypatch):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Named(Iid):
        exemplars: str = "first"
        share: float | tuple[float, float] = 0.5

    monkeypatch.setitem(KINDS, "named", Named)
    sampler, bank = chosen("--kind-exemplars", "last", "--exemplars", "single", "--share", "0.25", kind="named")
    assert sampler.kind == Named(exemplars="last", share=0.25)
    assert set(bank.counts) == {1}


# Words that give a field of any kind another value than any kind's own, and this value.
OTHERS = {
    "classes": ("--classes common", "common"),
    "exemplars": ("--kind-exemplars matched", "matched"),
    "label_noise": ("--label-noise 0.125", 0.125),
    "distinct_fillers": ("--distinct-fillers", True),
    "distinct_ways": ("--no-distinct-ways", False),
    "grouped": ("--grouped", True),
    "labels": ("--labels-per-class 3", Polysemy(3)),
    "non_bursty": ("--non-bursty common_no_support", "common_no_support"),
    "p_bursty": ("--p-bursty 0.25", 0.25),
    "p_bursty_common": ("--p-bursty-common 0.5 --p-bursty-zipfian 0", 0.5),
    "p_bursty_zipfian": ("--p-bursty-zipfian 0.125", 0.125),
    "p_few_shot": ("--p-few-shot 1e-3", 0.001),
    "shots": ("--shots 2 --length 5", 2),
    "ways": ("--shots 2 --ways 3 --length 7", 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_options_change_a_kind_and_without_them_it_is_as_in_python(kind):
    assert chosen("--source", "symbols", kind=kind)[0].kind == KINDS[kind]()
    for field in dataclasses.fields(KINDS[kind]):
        if field.name not in ("few_shot", "iid"):
            words, value = OTHERS[field.name]
            holds_holdout = kind == "few_shot" and field.name == "labels"
            more = ["--classes", "rare"] if holds_holdout else []
            made = chosen("--source", "symbols", *words.split(), *more, kind=kind)[0].kind
            assert getattr(made, field.name) == value != getattr(KINDS[kind](), field.name)


def test_banks_are_those_that_the_options_name(small1):
    assert chosen()[1].items.shape == (2000, 28, 28)
    assert chosen("--characters", 30, "--size", 16)[1].items.shape == (600, 16, 16)
    assert chosen("--characters", 30, "--exemplars", "single")[1].counts.tolist() == [1] * 30
    sampler, both = chosen("--characters", 30, "--exemplars", "separated", "--augmented")
    assert (both.num_classes, both.group, sampler.split.group) == (4800, 160, 160)
    characters = chosen("--source", "omniglot", "--zips", small1, "--size", 14, "--augmented")[1]
    assert (characters.num_classes, characters.items.shape[1:]) == (1088, (14, 14))


def test_noise_is_drawn_into_the_picture(shown, tmp_path):
    sheets = []
    for words in ([], ["--noise", 0.5]):
        shown("--count", 10, "--characters", 30, *words)
        with Image.open(tmp_path / "icl_data_sheet.png") as sheet:
            sheets.append(np.asarray(sheet).astype(int))
    assert 20 < np.abs(sheets[0] - sheets[1]).mean() < 60


def test_no_sheet_is_written_where_none_is_wanted_or_possible(shown, tmp_path):
    for words in (BRIEF, ["--no-sheet", "--count", 10]):
        assert shown(*words).endswith("contact sheet: none\n")
    assert not list(tmp_path.iterdir())


def test_a_home_is_expanded_in_the_pictures_path(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    assert shown("--characters", 30, "--count", 10, "--sheet", "~/sheet.png").endswith(f"{tmp_path}/home/sheet.png\n")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert (tmp_path / "home" / "sheet.png").is_file()


def test_help_has_an_example_and_the_options_of_the_kind(capsys):
    for words, said in ((["--help"], "--p-bursty"), (["few_shot", "--help"], "--grouped")):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 0
        out = capsys.readouterr().out
        assert said in out
        assert "python -m icl_data few_shot --classes holdout --shots 2" in out
        assert all(kind in out for kind in KINDS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fewshot"], r"KIND must be one of bursty, few_shot, .*got 'fewshot'\."),
        (["--shots", "many"], "--shots: invalid int value: 'many'"),
        (["--non-bursty", "rare"], "--non-bursty: invalid choice: 'rare'"),
        (["--shot", "3"], "unrecognized arguments: --shot 3"),
        (["few_shot", "--p-bursty", "1"], "python -m icl_data few_shot: error: unrecognized arguments: --p-bursty 1"),
        (["few_shot", "--shots", "3"], "a query has 7 items, got length=9; change one of the three"),
        (["few_shot", "--labels-per-class", "2"], "label them RandomLabels"),
        (["--p-bursty", "nan"], "p_bursty must be a probability"),
        (["--rare", "200"], "200 rare .* are wanted, but the bank has 100"),
        (["--characters", "2"], "are wanted, but the bank has 2|nothing to train on"),
        (["--index", "-1"], r"indices must be .* got int64 \[1\] from -1"),
        (["--index", str(2**70)], "indices must be|too large"),
        (["--count", "0"], "count, of the sequences, must be .* at least 1, got 0"),
        (["--length", "2000", "--count", "1"], r"contact sheet of 204\d+ x 1\d+ pixels is too large; give it fewer"),
        (["--length", "65537"], "length must be at most 65536, got 65537"),
        (["--split-seed", "-1"], "seed must be .*, got -1"),
        (["--noise", "-1", "--count", "9"], "scale must be .* at least 0, got -1"),
        (["--size", "3"], "size >= 8, got 100, 20 and 3"),
        (["--source", "symbols", "--augmented"], "Rotating needs square images"),
        (["--characters", str(10**11)], "Unable to allocate"),
        (["--source", "symbols", "--characters", str(10**30)], "fit in an int32"),
        (["--source", "omniglot"], "--source omniglot and --zips go together, got omniglot"),
        (["--zips", "a.zip"], "--source omniglot and --zips go together, got glyphs"),
        (["--source", "omniglot", "--zips", "nowhere.zip"], "No Omniglot zip at nowhere.zip"),
        (["--sheet", "a.txt", "--count", "9"], "unknown file extension: .txt"),
        (["--sheet", "nowhere/a.png", "--count", "9"], "No such file or directory: '.*nowhere/a.png'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_line_that_names_it(words, said, refused):
    assert re.search(said, refused(*words))


def test_an_error_of_several_lines_becomes_one(refused, monkeypatch):
    def fails(*_):
        raise ValueError("first\nsecond")

    monkeypatch.setattr("icl_data.__main__.chosen_bank", fails)
    assert "first second\n" in refused()


def test_the_module_runs_where_neither_jax_nor_matplotlib_is(tmp_path):
    code = (
        "import runpy, sys\n"
        "sys.modules.update(dict.fromkeys(['jax', 'matplotlib', 'tensorflow', 'tensorflow_datasets']))\n"
        "sys.argv = ['icl_data', 'iid', '--count', '10', '--characters', '20']\n"
        "runpy.run_module('icl_data', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert not done.stderr  # Grain would say that it lacks jax's profiler
    assert (tmp_path / "icl_data_sheet.png").is_file()
