"""Properties at toy size: each setting once, resumable, and an honest table of trends."""

import dataclasses
import json

import pytest

import icl_lab as lab
from experiments.omniglot.properties import pictures as properties_pictures
from experiments.omniglot.properties.settings import PROPERTIES, SETTINGS
from icl_eval import proportion
from icl_lab.sweeps.command import parse_sweep
from tests.tiny import PROPERTIES as TINY
from tests.tiny import contents, summary_of

pytestmark = pytest.mark.lengthy


def test_settings_are_run_once_and_the_page_and_table_say_what_came_of_them(tmp_path, capsys):
    words = ["--workdir", tmp_path / "properties"]
    TINY.run(*words)
    groups = sorted((tmp_path / "properties" / "groups").iterdir())
    assert [path.name.rpartition("-")[0] for path in groups] == ["base", "labels_per_class=4"]
    page = (tmp_path / "properties" / "report.html").read_text()
    assert "Which of the paper" in page and "Labels per class" in page and "30 sequences" in page
    summary = summary_of(groups[1])
    table = (tmp_path / "properties" / "trends.md").read_text()
    assert f"{summary['icl']['value']:.3f} at 4" in table and "ICL higher at 4 than at 1" in table
    assert summary["iwl"] == summary["evaluations"]["no_support_zipfian"]["accuracy_any_label"]
    assert "| labels_per_class | 4 | 1 | not by step 3 |" in table and "When ICL came to 0.9" in page
    before = contents(tmp_path / "properties" / "groups")
    capsys.readouterr()
    TINY.run(*words)  # all is finished: nothing is run again
    assert "2 of 2 runs are finished" in capsys.readouterr().out
    for other in (["--train.steps", 4], ["--optimizer.learning-rate", 0.1]):  # other runs would be passed off as these
        with pytest.raises(SystemExit):
            TINY.run(*words, *other)
        assert "give another workdir" in capsys.readouterr().err
    assert contents(tmp_path / "properties" / "groups") == before


def test_the_paper_s_values_are_there_and_the_common_setting_is_shared(tmp_path):
    words = ["properties", "--workdir", str(tmp_path / "properties")]
    definition = TINY.definition
    sweep = parse_sweep(words, definition.presets, definition.sweeps, name="omniglot", default="laptop").sweep
    assert [len(SETTINGS[name]) for name in PROPERTIES] == [4, 3, 3, 4, 5] and sweep.seeds == 4
    groups = dataclasses.replace(sweep, devices=1).groups()
    assert len(groups) == 15  # of 19 values, as five are the same setting
    assert {tuple(member.train.seed for member in group.members) for group in groups} == {(0, 1, 2, 3)}
    by_name = {group.config.workdir.name.rpartition("-")[0]: group.config.data for group in groups}
    assert (by_name["base"].p_bursty, by_name["base"].rare, by_name["base"].exemplars) == (0.9, 1600, "all")
    zipf = by_name["common=10-rare=1590-zipf_exponent=2.0"]
    assert (zipf.rare + zipf.common, zipf.zipf_exponent) == (1600, 2)
    noisy = by_name["exemplars=single-noise=0.5"]
    assert (noisy.exemplars, noisy.noise) == ("single", 0.5)


def seeds(*values):
    return [proportion(round(value * 4000), 4000) for value in values]


@pytest.mark.parametrize(
    ("below", "above", "outcome"),
    [
        ([0.5, 0.6], [0.7, 0.9], "holds"),
        ([0.5, 0.8], [0.7, 0.9], "not shown"),
        ([0.7, 0.9], [0.5, 0.6], "reversed"),
        ([0.498, 0.507], [0.508, 0.509], "not shown"),  # within what 4,000 sequences can tell
        ([], [0.5], "not run"),
    ],
)
def test_a_trend_holds_only_if_the_intervals_of_all_seeds_say_so(below, above, outcome):
    (row,) = properties_pictures.judged("labels_per_class", {"ICL": [seeds(*below), [], seeds(*above)]})
    assert row[3] == outcome
    assert f"{'/'.join(f'{value:.3f}' for value in above)} at 4" in row[2]


def test_runs_that_differ_in_more_than_the_property_are_not_taken_for_its_seeds(tmp_path):
    base = lab.with_options(TINY.definition.sweeps["properties"].config, {"workdir": tmp_path})
    found = {}
    for number, options in enumerate(({}, {"train.seed": 1}, {"model.layers": 3}, {"optimizer.b2": 0.5})):
        run = lab.with_options(base, options | {"workdir": tmp_path / str(number)})
        run.workdir.mkdir()
        measured = {"accuracy_closed": proportion(number, 10).to_json()}
        summary = {"evaluations": {"fewshot_holdout": measured}, "train": {"steps": run.train.steps}}
        (run.workdir / "summary.json").write_text(json.dumps(summary))
        found[number] = run
    lines = properties_pictures.read(base, "p_bursty", list(found.values()))
    assert [[seed.value for seed in by_value] for by_value in lines["ICL"]] == [[], [], [0.0, 0.1], []]


def test_a_line_that_no_run_has_is_told_as_not_run():
    assert {row[3] for row in properties_pictures.judged("zipf_exponent", {})} == {"not run"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "--seeds wants a whole number of at least 1"),
        (["--mode", "eval"], "the mode is eval; leave --mode out"),
        (["--data.common", "4"], "no data.common"),
        (["--train.ensemble.members", "2"], "train.ensemble.members is not for a sweep"),
    ],
)
def test_a_mistake_is_an_error_of_one_line(words, message, tmp_path, capsys):
    definition = TINY.definition
    with pytest.raises(SystemExit):
        parse_sweep(
            ["properties", *words, "--workdir", str(tmp_path / "properties")],
            definition.presets,
            definition.sweeps,
            name="omniglot",
            default="laptop",
        )
    assert message in capsys.readouterr().err


def test_every_property_has_its_title_and_trends():
    assert set(properties_pictures.TITLES) == set(properties_pictures.TRENDS) == set(PROPERTIES)
    for name, trends in properties_pictures.TRENDS.items():
        values = {setting.value for setting in SETTINGS[name]}
        assert all({trend.lower, trend.higher} <= values for trend in trends)
        fields = {field.name for field in dataclasses.fields(TINY.definition.presets["laptop"].data)}
        assert all(set(setting.changes) <= fields for setting in SETTINGS[name])
