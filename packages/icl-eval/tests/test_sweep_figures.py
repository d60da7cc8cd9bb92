import itertools

import numpy as np
import pytest

from icl_eval.figures.grid import heat_map
from icl_eval.figures.learner_looks import UNDECIDED
from icl_eval.figures.palette import BLUE, GREY
from icl_eval.figures.sweeps import SizePoint, against_size, most_frequent, phase_curve

TASKS = 2 ** np.arange(0, 17, 2)
MEMORIZES, IDENTIFIES, LEARNS = "task memorization", "task identification", "general learning to learn"
FAILS = "fails to meta-train"
SHORT = {LEARNS: "learns", IDENTIFIES: "identifies", MEMORIZES: "memorizes", FAILS: "fails"}


def accuracies(seeds: int, *, rows: int = len(TASKS)) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.random((rows, seeds)) for _ in range(3)]


@pytest.mark.parametrize("seeds", [1, 4])
def test_every_seed_is_a_dot_and_the_median_a_line(seeds: int) -> None:
    first, last, unseen = accuracies(seeds)
    (panel,) = phase_curve(TASKS, first, last, unseen, chance=0.1).axes
    lines = {line.get_label(): line for line in panel.lines}
    for name, values in (("seen, first", first), ("seen, last", last), ("unseen, last", unseen)):
        dots = sorted(zip(*lines[f"{name}: seeds"].get_data(), strict=True))
        assert dots == sorted((n, value) for n, row in zip(TASKS, values, strict=True) for value in row)
        np.testing.assert_allclose(lines[name].get_ydata(), [sorted(row)[seeds // 2] if seeds % 2 else
            np.mean(sorted(row)[seeds // 2 - 1 : seeds // 2 + 1]) for row in values])  # fmt: skip
    assert panel.get_xscale() == "log"
    assert [text.get_text() for text in panel.get_xticklabels()] == [f"$2^{{{power}}}$" for power in range(0, 17, 2)]
    assert "chance 0.1" in {text.get_text() for text in panel.texts}


def test_phases_are_shaded_and_named_once_without_overlap() -> None:
    kinds = [[MEMORIZES], [IDENTIFIES], [MEMORIZES], [MEMORIZES], [UNDECIDED], [IDENTIFIES], [LEARNS], [], [LEARNS]]
    figure = phase_curve(TASKS, *accuracies(1), kinds=kinds)
    (panel,) = figure.axes
    spans = [(round(np.log2(p.get_x())), round(np.log2(p.get_x() + p.get_width()))) for p in panel.patches]
    assert spans == [(0, 1), (1, 3), (3, 7), (9, 11), (11, 13), (15, 16)]
    figure.draw_without_rendering()
    said = ["memorization", "identification", "learning to learn"]
    names = [text for text in panel.texts if text.get_text() in said]
    assert sorted(text.get_text() for text in names) == sorted(said)
    boxes = sorted((text.get_window_extent() for text in names), key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert {text.get_text(): text.get_color() for text in names}["learning to learn"] == BLUE


@pytest.mark.parametrize(
    "kinds",
    [
        (FAILS, MEMORIZES, IDENTIFIES, LEARNS),
        (LEARNS, MEMORIZES, IDENTIFIES, FAILS),
        (FAILS, MEMORIZES, FAILS, IDENTIFIES, LEARNS, LEARNS, LEARNS, LEARNS, LEARNS),
        (FAILS, FAILS, FAILS, FAILS, FAILS, FAILS, MEMORIZES, IDENTIFIES, LEARNS),
        (FAILS,),
    ],
)
def test_all_kinds_of_learner_have_room_for_their_names(kinds: tuple[str, ...]) -> None:
    rows = len(kinds)
    figure = phase_curve(TASKS[:rows], *accuracies(1, rows=rows), chance=0.1, kinds=[[kind] for kind in kinds])
    (panel,) = figure.axes
    figure.draw_without_rendering()
    names = {text.get_text(): text for text in panel.texts if text.get_color() != "#1f2328" and text.xy[1] == 1}
    assert len(names) == len(set(kinds)) and names["fails"].get_color() == GREY
    boxes = sorted((text.get_window_extent() for text in names.values()), key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert boxes[0].x0 >= 0 and boxes[-1].x1 <= figure.bbox.x1


def test_a_majority_wants_more_than_any_other() -> None:
    assert most_frequent([LEARNS, MEMORIZES, LEARNS]) == LEARNS
    assert most_frequent([LEARNS, MEMORIZES]) == most_frequent([]) == most_frequent([""]) == UNDECIDED


def test_one_number_of_tasks_and_unknown_seeds_are_drawn() -> None:
    one = [np.array([[np.nan, 0.5]]), np.array([[np.nan, np.nan]]), np.array([[0.2, 0.4]])]
    figure = phase_curve(np.array([64]), *one, kinds=[[LEARNS]])
    figure.draw_without_rendering()
    assert figure.axes[0].get_xlim() == (2**5.5, 2**6.5)


@pytest.mark.parametrize("tasks", [np.array([4, 2]), np.array([0, 1])], ids=["descending", "zero"])
def test_rows_that_are_not_ascending_numbers_of_tasks_are_refused(tasks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="ascending numbers of tasks"):
        phase_curve(tasks, *accuracies(2, rows=2))
    with pytest.raises(ValueError, match="1 rows of kinds"):
        phase_curve(np.array([1, 2]), *accuracies(2, rows=2), kinds=[[LEARNS]])


def test_a_cell_says_its_number_its_seeds_and_its_kind_of_learner() -> None:
    values = np.array([[0.5, np.nan, 0.1], [0.0, 0.724, 1.0]])
    seeds = np.stack([values - 0.25, values, values + 0.25], axis=-1)
    kinds = [[FAILS, "", MEMORIZES], [UNDECIDED, IDENTIFIES, LEARNS]]
    (panel,) = heat_map(
        values, row_names=["8", "16"], column_names=["1", "2", "4"], row_title="width", column_title="tasks",
        title="Accuracy", kinds=kinds, seeds=seeds,
    ).axes  # fmt: skip
    said: dict[tuple[int, int], list[str]] = {}
    for text in panel.texts:
        column, row = text.xy
        said.setdefault((int(row), int(column)), []).append(text.get_text())
    assert set(said) == {(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)}
    for (row, column), lines in said.items():
        value = values[row, column]
        short = SHORT.get(kinds[row][column], kinds[row][column])
        assert lines == [f"{value:.2f}", f"{value - 0.25:.2f}\N{EN DASH}{value + 0.25:.2f}", short]
    assert [bool(patch.get_hatch()) for patch in panel.patches] == [False, True, False, False, False, False]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["8", "16"]
    assert panel.get_ylim() == (2, 0)  # the first row at the top


def test_titles_and_long_names_fit_and_wrong_shapes_are_refused() -> None:
    names = {"row_title": "trunk", "column_title": "tasks", "title": "Accuracy on unseen tasks after 100 examples"}
    figure = heat_map(np.array([[0.5]]), row_names=["outer-product LSTM"], column_names=["no identity"], **names)
    figure.draw_without_rendering()
    (panel,) = figure.axes
    texts = [panel._left_title, panel.yaxis.label, *panel.get_yticklabels(), *panel.get_xticklabels()]  # type: ignore[attr-defined]
    boxes = [text.get_window_extent() for text in texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    with pytest.raises(ValueError, match=r"got values \(1, 1\), names \(2, 1\)"):
        heat_map(np.array([[0.5]]), row_names=["a", "b"], column_names=["c"], **names)
    with pytest.raises(ValueError, match="kinds"):
        heat_map(np.array([[0.5]]), row_names=["a"], column_names=["c"], kinds=[[LEARNS, LEARNS]], **names)


def test_points_stand_at_both_of_their_sizes() -> None:
    points = [
        SizePoint(trunk=trunk, state_size=size, parameters=size * 100, accuracy=accuracy)
        for trunk, size, accuracy in (("LSTM", 64, 0.2), ("Transformer", 4096, 0.6), ("LSTM", 128, np.nan))
    ]
    figure = against_size(points, chance=0.1)
    for panel, scale in zip(figure.axes, (1, 100), strict=True):
        lines = {line.get_label(): line.get_data() for line in panel.lines}
        np.testing.assert_array_equal(lines["LSTM"], [[64 * scale, 128 * scale], [0.2, np.nan]])
        np.testing.assert_array_equal(lines["Transformer"], [[4096 * scale], [0.6]])
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines[:2]}
    assert len(looks) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["LSTM", "Transformer"]


def test_sizes_below_one_and_too_many_trunks_are_refused() -> None:
    with pytest.raises(ValueError, match="MLP: wanted a state size"):
        SizePoint(trunk="MLP", state_size=0, parameters=9, accuracy=0.1)
    with pytest.raises(ValueError, match=r"1\.\.6 trunks, got 0"):
        against_size([])
