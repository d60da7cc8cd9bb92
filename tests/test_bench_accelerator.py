"""``tools.bench_accelerator`` with parts of the tests': none costs more than its own rows."""

import json
import sys

import pytest

from tools.bench_accelerator import BY_NAME, PARTS, Table, as_row, main, parse, run_part, run_parts

ROW = '{"what": "speed", "measured": "7 m/s", "beside": "H200: 8", "value": 7.0, "unit": "m/s"}'
PRINTS = f"print('a note'); print('{ROW}', flush=True)"
FAKES = {
    "good": PRINTS,
    "crashes": f"import os; {PRINTS}; os.abort()",
    "fails": f"{PRINTS}; raise ValueError('no such thing')",
    "hangs": f"import subprocess, sys; {PRINTS}; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
}


def command(part):
    return [sys.executable, "-S", "-c", FAKES[part]]


def parts_of(folder):
    return [json.loads(line)["part"] for line in (folder / "table.jsonl").read_text().splitlines()]


def test_a_part_that_crashes_is_a_line_and_the_others_go_on(tmp_path, capfd):
    parts = ["crashes", "fails", "good"]
    assert not run_parts(dict.fromkeys(parts, 1), command, minutes=5, folder=tmp_path)
    assert parts_of(tmp_path) == parts
    printed = capfd.readouterr().out
    assert "crashes: ended by SIGABRT" in printed
    assert "fails: ended with code 1" in printed and "ValueError: no such thing" in printed
    assert printed.count("speed") == 3 and "H200: 8" in printed
    log = (tmp_path / "log.txt").read_text()
    assert "good: a note" in log and "fails: Traceback" in log
    assert not [line for line in log.splitlines() if line.partition(": ")[2].startswith("{")]  # rows are in the table


def test_a_part_that_takes_too_long_is_stopped_with_what_it_has_started_and_keeps_its_rows(tmp_path, capfd):
    table = Table(tmp_path)
    assert run_part("hangs", command("hangs"), table, seconds=2)
    assert run_part("good", command("good"), table, seconds=60)
    table.close()
    assert parts_of(tmp_path) == ["hangs", "good"]
    assert "hangs: stopped after its 2 s" in capfd.readouterr().out


def test_parts_for_which_no_time_is_left_are_skipped_with_a_sentence(tmp_path, capfd):
    assert run_parts({"hangs": 1, "good": 1}, command, minutes=0, folder=tmp_path)
    assert parts_of(tmp_path) == []
    assert "good: skipped, as 0 s are left of 0 minutes" in capfd.readouterr().out


def test_the_parts_are_asked_for_by_name_and_known(capsys):
    from tools import accelerator_parts

    assert list(accelerator_parts.PARTS) == list(PARTS)
    assert parse(["--parts", "laptop", "floor"]).parts == ["laptop", "floor"]
    assert [part for part in PARTS if part not in parse([]).parts] == list(BY_NAME)
    for words in (["--parts", "nothing"], ["--minutes", "0"]):
        with pytest.raises(SystemExit):
            main(words)
    assert "above 0" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["", "{}", "[1]", "3", "compiled in 3 s", ROW[:-1]])
def test_what_is_no_row_is_none(line):
    assert as_row(line) is None
    assert as_row(ROW)["value"] == 7
