"""Runs of gpicl in the form of the paper's table 1."""

import json
import re

import numpy as np
import pytest

import icl_eval as evaluation
from experiments.gpicl import table as of_runs

S, V, TASKS = 8, 10, 50


def write_run(folder, *, source="idx", seed=0, right=0.5, names=("unseen_tasks", "unseen_data_random"), arrays=True):
    """Write the folder of a run that is right about a share of all items but the last, where it always is."""
    rng = np.random.default_rng(seed)
    results = []
    for name in names:
        labels = rng.integers(V, size=(TASKS, S))
        said = np.where(rng.random((TASKS, S)) < right, labels, (labels + 1) % V)
        said[:, -1] = labels[:, -1]
        results.append(
            evaluation.evaluate_labels(
                lambda batch, said=said: np.eye(V)[said],
                [{"labels": labels, "items": labels[:, :, None]}],
                name=name,
                count=TASKS,
                num_labels=V,
                window=4,
                baselines={"0-NN": lambda items, labels, positions: np.zeros((len(items), len(positions)), int)},
            )
        )
    evaluation.append_evaluations(folder, step=3, results=results)
    config = {"data": {"source": source, "tfds": "kmnist"}, "train": {"seed": seed}}
    (folder / "config.json").write_text(json.dumps({"config": config}))
    if not arrays:
        for path in (folder / "arrays").iterdir():
            path.unlink()
    return folder


def cells_of(text):
    """Return the cells of each table by row and column."""
    tables = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
        tables.append({row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows})
    return tables


def test_a_run_stands_above_the_papers_numbers_where_the_set_is_the_same(tmp_path, capsys):
    names = (
        "unseen_tasks",
        "unseen_data_random",
        "unseen_data_Greek",
        "unseen_data_x_images",
        "shifted_sparse",
        "longer",
    )
    folder = write_run(tmp_path / "run", names=names)
    assert of_runs.main([str(folder), "--same", "idx", "MNIST", "--same", "x_images", "Fashion"]) == 0
    said = capsys.readouterr().out
    sets, shifts = cells_of(said)
    assert set(sets["run, chance 10"]) == {"MNIST (trained)", "Greek", "Random", "Fashion"}
    assert sets["run, chance 10"]["MNIST (trained)"].startswith("100.0 (")  # the last item, not the mean of the last
    assert set(sets) == {"run, chance 10", "0-NN"} | {f"{name} (paper)" for name in of_runs.PAPER}
    assert sets["VSML (paper)"] == {"MNIST (trained)": "79.04", "Greek": "", "Random": "100.00", "Fashion": "68.49"}
    assert set(shifts) == {"run, chance 10", "0-NN"} and set(shifts["0-NN"]) == {"sparse", "longer"}
    assert f"item, number {S}," in said and "*" not in said.split("|", 1)[1]


def test_what_a_run_was_not_trained_on_is_not_beside_what_the_papers_were(tmp_path):
    run = evaluation.read_run(write_run(tmp_path / "run", source="digits", names=("unseen_tasks", "unseen_data_mnist")))
    (sets,) = cells_of(of_runs.table([run]))
    assert set(sets["0-NN"]) == {"digits (trained)", "MNIST"} and not any("paper" in name for name in sets)
    run = evaluation.read_run(write_run(tmp_path / "tfds", source="tfds"))
    (sets,) = cells_of(of_runs.table([run]))
    assert "KMNIST (trained)" in sets["0-NN"] and not any("paper" in name for name in sets)


def test_seeds_are_one_row_with_the_lowest_and_the_highest(tmp_path):
    runs = [write_run(tmp_path / f"wide-seed{seed}", seed=seed, right=0.4 + 0.2 * seed) for seed in range(3)]
    for folder in runs:  # so that the last item tells them apart
        path = folder / "arrays" / "shots_unseen_tasks.npz"
        rows = dict(np.load(path))
        rows["0_values"][-1] = 0.4 + 0.2 * int(folder.name[-1])
        np.savez(path, **rows)
    other = write_run(tmp_path / "y", source="digits")
    (sets,) = cells_of(of_runs.table([evaluation.read_run(folder) for folder in (*runs, other)]))
    assert (
        sets["wide, chance 10"]["idx (trained)"] == "60.0 (40.0-80.0)"
        and sets["wide, chance 10"]["digits (trained)"] == ""
    )
    assert {"0-NN, beside wide, chance 10", "0-NN, beside y, chance 10"} <= set(sets)


def test_without_curves_the_mean_of_the_last_items_is_marked(tmp_path):
    run = evaluation.read_run(write_run(tmp_path / "run", arrays=False))
    (sets,) = cells_of(of_runs.table([run]))
    mean = run.latest()["unseen_tasks"][1].metrics["accuracy_last"].value
    assert sets["run, chance 10"]["idx (trained)"].startswith(f"{100 * mean:.1f}* (") and mean < 1


def test_the_papers_numbers_are_complete():
    assert all(len(numbers) == 6 for numbers in of_runs.PAPER.values()) and set(of_runs.KNOWN.values()) == set(
        of_runs.get_args(of_runs.PaperSet)
    )
    best = max(of_runs.PAPER, key=lambda name: of_runs.PAPER[name][0])
    assert best == "VSML" and of_runs.PAPER["Transformer"][:2] == (73.70, 62.24)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["RUN", "--same", "idx", "EMNIST"], "the paper has MNIST, Fashion"),
        (["RUN", "RUN"], "different names"),
        (["EMPTY"], "The run empty has no evaluation of unseen_tasks"),
    ],
)
def test_mistakes_end_with_one_line(tmp_path, capsys, words, message):
    folders = {"RUN": write_run(tmp_path / "run"), "EMPTY": write_run(tmp_path / "empty", names=("seen_tasks",))}
    with pytest.raises(SystemExit):
        of_runs.main([str(folders.get(word, word)) for word in words])
    assert message in capsys.readouterr().err
