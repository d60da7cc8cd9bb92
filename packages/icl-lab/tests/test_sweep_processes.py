"""Several processes run one sweep: each group once, whatever becomes of a process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import icl_lab as lab
from icl_lab.sweeps.folder import CLAIMS, claim, groups_there, planning

pytestmark = pytest.mark.lengthy

SCRIPT = "import sys; sys.path.insert(0, {folder!r}); import toy, icl_lab; icl_lab.main(toy.TOY)"
WORDS = ("sweep", "toy", "--grid.width", "2", "3", "4", "--no-page", "--train.checkpoint-every", "1")


def start(folder, *words):
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    command = [sys.executable, "-c", script, *WORDS, *words, "--workdir", str(folder)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def ends(process):
    said, _ = process.communicate(timeout=240)
    return process.returncode, said


def group_lines(said):
    return [line.split(" in ")[1] for line in said.splitlines() if line.startswith("group ")]


def test_two_processes_share_the_groups_and_a_killed_one_s_are_taken_over(tmp_path, toy, read):
    folder = tmp_path / "sweep"
    one, other = start(folder), start(folder)
    (code, said), (other_code, other_said) = ends(one), ends(other)
    assert (code, other_code) == (0, 0), said + other_said
    trained = group_lines(said) + group_lines(other_said)
    assert len(trained) == len(set(trained)) == 3
    runs = sorted(folder.glob("groups/*/summary.json"))
    assert len(runs) == 3

    killed = tmp_path / "killed"
    process = start(killed)
    while not list(killed.glob("groups/*/checkpoints/[0-9]*")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    code, said = ends(start(killed))
    assert code == 0, said
    assert sorted(path.parent.name for path in killed.glob("groups/*/summary.json")) == [r.parent.name for r in runs]
    for run in runs:
        for name in ("metrics.jsonl", "eval.jsonl"):
            assert read(killed / run.relative_to(folder).with_name(name)) == read(run.with_name(name))


def test_what_a_live_process_has_claimed_is_not_planned_again_and_what_a_dead_one_had_is(toy, tmp_path):
    base = lab.with_options(toy.ToyConfig(), {"workdir": tmp_path})
    sweep = lab.Sweep(base=base, settings=({"width": 2},), seeds=2)
    (group,) = sweep.groups()
    group.config.workdir.mkdir(parents=True)
    with planning(tmp_path):
        claim(group.config.workdir, group.members)
    assert groups_there(base) == {}  # nobody is there to train it
    holder = subprocess.Popen(
        [
            sys.executable, "-c", "import sys, icl_train\n"
            "with icl_train.hold_for_training(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()",
            str(group.config.workdir),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        (members,) = groups_there(base).values()
        assert [member.train.seed for member in members] == [0, 1]
        # Another command with one seed more gets a group of that seed alone.
        more = lab.Sweep(base=base, settings=({"width": 2},), seeds=3).groups()
        assert [[member.train.seed for member in each.members] for each in more] == [[0, 1], [2]]
    finally:
        holder.communicate("", timeout=60)
    assert groups_there(base) == {}
    assert json.loads((tmp_path / CLAIMS / f"{group.config.workdir.name}.json").read_text())[0]["width"] == 2
