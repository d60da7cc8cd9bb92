"""One table of all runs of a sweep, whatever state its folders are in."""

import csv
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from icl_eval import Result, RunTable, __main__, append_evaluations, proportion, table
from icl_eval.runs.reading import Run
from icl_eval.sweeps.progress import sequences_per_step, status
from icl_eval.sweeps.sweep_runs import read_sweep, varied_options

WriteRun = Callable[..., Path]
FIRST = ("run", "data.p", "seed", "step", "sequences", "status")


@pytest.fixture
def sweep(tmp_path: Path, write_run: WriteRun) -> Path:
    """Two settings with two seeds, one an ensemble and one in lone folders, as a sweep leaves them."""
    for seed in (0, 1):
        ensemble = tmp_path / "sweep" / "groups" / "p=0.5"
        write_run(ensemble / f"member-{seed:03}", {0: 0.5, 50: 0.75, 100: 0.95}, seed=seed, p=0.5, ways=2)
        write_run(tmp_path / "sweep" / "groups" / f"p=1-{seed}", {0: 0.5, 100: 0.6}, seed=seed, p=1.0, ways=2)
    (ensemble / "config.json").write_text('{"config": {"train": {"ensemble": {"members": 2}}, "data": {"p": 0.1}}}')
    return tmp_path / "sweep"


def test_there_is_a_row_for_each_run_and_step_and_a_column_for_what_is_varied(sweep: Path) -> None:
    found = table(sweep)
    assert found.columns[:6] == FIRST
    assert found.columns[6:10] == ("new.accuracy", "new.accuracy.low", "new.accuracy.high", "new.accuracy.count")
    assert len(found.columns) == 6 + 2 * 4
    assert [row[:6] for row in found.rows] == [
        *(
            (f"groups/p=0.5/member-{seed:03}", 0.5, seed, step, 32 * step, "finished")
            for seed in (0, 1)
            for step in (0, 50, 100)
        ),
        *((f"groups/p=1-{seed}", 1.0, seed, step, 32 * step, "finished") for seed in (0, 1) for step in (0, 100)),
    ]
    expected = proportion(150, 200)
    assert found.rows[1][6:10] == (0.75, expected.low, expected.high, 200)


def test_the_last_step_alone(sweep: Path) -> None:
    assert [row[3] for row in table(sweep, last=True).rows] == [100] * 4


def test_csv_gives_the_same_numbers_and_texts_again(tmp_path: Path, write_run: WriteRun) -> None:
    names = ['comma, "quote"', "line\nbreak", "naïve π 学", "=1+1", ""]
    for place, name in enumerate(names):
        write_run(tmp_path / f"r{place}", {0: 0.1 + 0.2, 7: 1 / 3}, name=name)
    found = table(tmp_path)
    rows = list(csv.DictReader(io.StringIO(found.write(tmp_path / "t.csv").read_text(encoding="utf-8"), newline="")))
    assert [row["data.name"] for row in rows] == [name for name in names for _ in range(2)]
    for column in ("new.accuracy", "new.accuracy.low", "new.accuracy.high"):
        assert [float(row[column]) for row in rows] == list(found.column(column))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_pandas_reads_what_was_written(sweep: Path, tmp_path: Path, suffix: str) -> None:
    pandas = pytest.importorskip("pandas")
    found = table(sweep)
    path = found.write(tmp_path / "new" / f"t.{suffix}")
    read = pandas.read_csv(path) if suffix == "csv" else pandas.read_parquet(path)
    frame = found.to_pandas()
    assert list(read.columns) == list(found.columns)
    pandas.testing.assert_frame_equal(read, frame, check_dtype=False)
    assert frame.groupby("data.p")["new.accuracy"].max().to_dict() == {0.5: 0.95, 1.0: 0.6}


def test_cells_that_are_empty_not_finite_or_of_several_types_are_written_to_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = ((1, 0.5, "a", None, 10**30), (None, math.nan, 2, None, 1))
    RunTable(("whole", "number", "mixed", "empty", "huge"), rows).write(tmp_path / "t.parquet")
    (one, other) = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert one == {"whole": 1, "number": 0.5, "mixed": "a", "empty": None, "huge": 1e30}
    assert other.pop("number") is not None and other == {"whole": None, "mixed": "2", "empty": None, "huge": 1.0}


@pytest.mark.parametrize(("module", "suffix"), [("pyarrow", ".parquet"), ("pandas", "")])
def test_without_the_extra_an_error_of_one_line_says_what_to_install(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, suffix: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=r"pip install 'icl-eval\[table\]'") as caught:
        table(sweep).write(tmp_path / f"t{suffix}") if suffix else table(sweep).to_pandas()
    assert "\n" not in str(caught.value)
    assert table(sweep).write(tmp_path / "t.csv").exists()


def test_the_command_prints_csv_to_be_piped_or_writes_a_file(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["table", str(sweep), "--last"]) == 0
    said = capsys.readouterr()
    assert said.out == table(sweep, last=True).csv() and not said.err
    to = tmp_path / "t.csv"
    assert __main__.main(["table", str(sweep), "--to", str(to)]) == 0
    assert capsys.readouterr().out.strip() == str(to) and to.read_text() == table(sweep).csv()
    for wrong in ([str(tmp_path / "nowhere")], [str(sweep), "--to", "t.xlsx"], [str(to.parent / "sweep" / "new")]):
        assert __main__.main(["table", *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_run_alone_is_a_table_too(tmp_path: Path, write_run: WriteRun) -> None:
    found = table(write_run(tmp_path / "a", {0: 0.5, 100: 1.0}))
    assert found.columns[:5] == ("run", "seed", "step", "sequences", "status")
    assert [row[0] for row in found.rows] == [".", "."]


def test_a_seed_is_no_varied_option_and_may_be_unknown(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "a", {100: 0.5}, seed=None)
    write_run(tmp_path / "b", {100: 0.5}, seed=3)
    found = table(tmp_path)
    assert found.columns[:2] == ("run", "seed") and found.column("seed") == (None, 3)


def test_runs_may_have_other_metrics_and_options(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "a", {100: 0.5}, p=1, trunk="lstm")
    write_run(tmp_path / "b", {100: 0.5}, p=2, heads=4, trunk="transformer")
    append_evaluations(tmp_path / "b", step=100, results=[Result("own", {"rank": proportion(1, 4)}, {})])
    found = table(tmp_path)
    assert found.column("own.rank") == (None, 0.25)
    assert found.column("data.heads") == (None, 4) and found.column("data.trunk") == ("lstm", "transformer")


def test_what_is_not_finite_is_nan_and_what_was_not_measured_is_empty(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "a", {50: math.nan, 100: 0.5})
    assert table(tmp_path).csv().splitlines()[1].startswith("a,0,50,1600,finished,nan,nan,nan,200")


def test_damaged_and_half_written_runs_are_rows_all_the_same(sweep: Path) -> None:
    groups = sweep / "groups"
    (groups / "p=1-0" / "eval.jsonl").write_text('{"step": 3, "evaluation": "new"\n\x00\n{"step"')
    (groups / "p=1-0" / "summary.json").unlink()
    (groups / "p=1-1" / "config.json").write_text("{")
    (groups / "p=1-1" / "summary.json").write_text("[]")
    for name, content in (("begun", "{}"), ("odd", '{"config": [1, 2], "seed": "x"}')):
        (groups / name).mkdir()
        (groups / name / "config.json").write_text(content)
    (groups / "empty").mkdir()
    (groups / "loop").symlink_to(sweep)
    found = table(sweep)
    rows = {row[0]: row for row in found.rows}
    assert rows["groups/p=1-0"][:6] == ("groups/p=1-0", 1.0, 0, None, None, "unfinished")
    assert rows["groups/p=1-1"][1:4] == (None, None, 100)
    assert rows["groups/begun"][1:4] == rows["groups/odd"][1:4] == (None, None, None)
    assert "groups/empty" not in rows and not any("loop" in name for name in rows)


def test_names_that_a_column_has_already_are_told_apart(tmp_path: Path) -> None:
    for place in (0, 1):
        append_evaluations(tmp_path / f"r{place}", step=1, results=[Result("new", {"accuracy": proportion(1, 2)}, {})])
        config = {"step": place, "new": {"accuracy": place}, "ok": place}
        (tmp_path / f"r{place}" / "config.json").write_text(json.dumps({"config": config}))
    assert table(tmp_path).columns[:4] == ("run", "config.step", "config.new.accuracy", "ok")


@pytest.mark.parametrize(
    ("train", "lines", "expected"),
    [
        ({"steps": 100}, {}, "finished"),
        ({"steps": 99}, {}, "unfinished"),
        ({"steps": 7, "failed_at": 8}, {}, "failed at step 8"),
        (None, {8: {"failed": True}}, "failed at step 8"),
        (None, {100: {"loss": 1.0}}, "unfinished"),
        ("odd", {}, "unfinished"),
        ({"steps": None}, {}, "unfinished"),
    ],
)
def test_the_status_is_what_the_summary_says(train: Any, lines: Any, expected: str) -> None:
    run = Run(
        "a", config={"config": {"train": {"steps": 100}}}, metrics=lines, summary={"train": train} if train else {}
    )
    assert status(run) == expected


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"items_per_second": 9},
        {"items_per_second": 9, "steps_per_second": 0},
        {"items_per_second": 1e308, "steps_per_second": 1e-308},
    ],
)
def test_a_batch_size_that_is_not_told_is_not_known(line: Any) -> None:
    assert sequences_per_step(Run("a", metrics={1: line})) is None


def test_options_are_numbers_where_all_are_and_bookkeeping_is_none() -> None:
    values = ((1, 2.5, True), (2, "auto", False), (3, None, True))
    runs = [
        Run(
            str(a),
            config={"config": {"a": a, "b": b, "c": c, "eval": {"every": a}, "train": {"ensemble": {"members": a}}}},
        )
        for a, b, c in values
    ]
    assert varied_options(runs) == {
        "a": (1, 2, 3),
        "b": ("2.5", "auto", "None"),
        "c": ("True", "False", "True"),
    }


def test_an_option_that_came_with_a_later_revision_is_not_varied_while_its_value_is_one() -> None:
    def run(name: str, revision: str | None, **options: object) -> Run:
        return Run(name, config={"config": options, **({} if revision is None else {"git": {"revision": revision}})})

    early, late = run("0", "e1", p=1), run("1", "f2", p=2, l2=0.0)
    assert varied_options([early, late]) == {"p": (1, 2)}
    assert varied_options([early, late, run("1", "e1", p=2, l2=0.0)]) == {"p": (1, 2, 2)}  # begun early, finished late
    assert varied_options([early, late, run("2", "f2", p=2, l2=0.1)])["l2"] == (None, 0.0, 0.1)
    for other in (run("0", "f2", p=1), run("0", None, p=1)):  # the same code, or who knows which
        assert varied_options([other, late]) == {"p": (1, 2), "l2": (None, 0.0)}


def test_settings_are_in_the_order_of_their_values(tmp_path: Path, write_run: WriteRun) -> None:
    for p in (10, 9, 0.5):
        for seed in (0, 1):
            write_run(tmp_path / f"{p}-{seed}", {1: 0.5}, seed=seed, p=p)
    settings = read_sweep(tmp_path).settings
    assert list(settings) == [(0.5,), (9,), (10,)] and all(len(runs) == 2 for runs in settings.values())


def test_a_table_wants_a_cell_for_each_column() -> None:
    for columns, rows in ((("a", "a"), ()), (("a",), ((1, 2),))):
        with pytest.raises(ValueError, match="Wanted columns of different names"):
            RunTable(columns, rows)
