"""``python -m icl_data``: one clear line for every mistake."""

import re

import pytest

from icl_data.__main__ import main


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Give a function that runs a command that must fail, and gives its one line."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        assert stopped.value.code == 2
        out, errors = capsys.readouterr()
        assert not out
        assert errors.count("\n") == 1
        assert errors.startswith("python -m icl_data: error: ")
        assert not list(tmp_path.iterdir())
        return errors

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fewshot"], r"KIND must be one of bursty, .*got 'fewshot'; perhaps you meant few_shot\."),
        (["x" * 9], r"KIND must be one of .*got 'xxxxxxxxx'\."),
        (["--shots", "many"], "--shots: invalid int value: 'many'"),
        (["--non-bursty", "rare"], "--non-bursty: invalid choice: 'rare'"),
        (["--shot", "3"], "unrecognized arguments: --shot 3; KIND comes first, and"),
        (["few_shot", "--p-bursty", "1"], "unrecognized arguments: --p-bursty 1"),
        (["--length", "9", "few_shot"], "unrecognized arguments: few_shot; KIND comes first"),
        (["few_shot", "--shots", "3"], "a query has 7 items, got length=9; change one of the three"),
        (["--p-bursty", "nan"], "p_bursty must be a probability"),
        (["--labels", "polysemy"], "--labels polysemy needs --labels-per-class as well"),
        (["--start", "3"], "--start is for --labels offset; give that as well"),
        (["--labels", "polysemy", "--start", "3", "--labels-per-class", "2"], "--start is for --labels offset"),
        (["--labels", "offset", "--start", "-1"], "start must be .*at least 0, got -1"),
        (["--rare", "200"], "200 rare .* are wanted, but the bank has 100"),
        (["--index", "-1"], r"--index must be in 0\..*, got -1"),
        (["--index", str(2**70)], r"--index must be in 0\.\.9223372036854775799, got"),
        (["--count", "0"], r"--count must be in 1\.\.1000000, got 0"),
        (["--length", "100000000"], "--length must be at most 1000 to be shown"),
        (["--length", "1"], "length.* at least 2, got 1"),
        (["--seed", "-1"], "seed must be .*, got -1"),
        (["--split-seed", "-1"], "seed must be .*, got -1"),
        (["--size", "3"], "size >= 8, got 100, 20 and 3"),
        (["--bank", "gaussian", "--size", "28"], "--size is for images, and gaussian has none"),
        (["--bank", "symbols", "--augmented"], "Rotating needs square images"),
        (["--num-classes", "0"], "num_classes >= 1"),
        (["--num-classes", str(10**11)], "Unable to allocate"),
        (["--num-classes", str(10**30)], ""),
        (["--bank", "symbols", "--num-classes", str(10**30)], "fit in an int32"),
        (["--bank", "omniglot"], "--bank omniglot and --omniglot PATH go together"),
        (["--bank", "glyphs", "--omniglot", "a.zip"], "--bank omniglot and --omniglot PATH go together"),
        (["--omniglot", "nowhere.zip"], "No Omniglot zip at nowhere.zip"),
        (["--sheet", "a.jpg"], "--sheet must be a .png file in a folder that exists, got a.jpg"),
        (["--sheet", "nowhere/a.png"], "--sheet must be a .png file in a folder that exists, got nowhere/a.png"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_line_that_names_it(words, said, refused):
    assert re.search(said, refused(*words))


def test_too_many_classes_of_omniglot_are_refused_with_their_number(small1, refused):
    said = refused("--omniglot", small1, "--num-classes", 137)
    assert "--num-classes must be in 1..136 for these files, got 137" in said


def test_an_error_of_several_lines_becomes_one(refused, monkeypatch):
    def fails(*_):
        raise ValueError("first\nsecond")

    monkeypatch.setattr("icl_data.__main__.chosen_bank", fails)
    assert "first second\n" in refused()
