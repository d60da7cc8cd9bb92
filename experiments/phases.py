"""Draw the phases of learning to learn: number of tasks x width, or x another setting (Kirsch et al. 2022).

    python experiments/phases.py --workdir runs/phases    projected digits, 6 pools x widths 16, 32 and 64 x 2 seeds:
                                                          about 25 minutes on two cores; from 2^10 tasks on, widths
                                                          32 and 64 learn to learn
    python experiments/phases.py --workdir runs/phases --grid.width 64 --grid.trunk lstm outer_product_lstm mlp
                                                          other trunks beside them, in the same pictures
    python experiments/phases.py --grid.eps 1e-8 1e-5 --grid.identity 0 0.5
                                                          interventions on the plateau

The same command again goes on where it was stopped: a group of runs that is finished is never run again. The pictures
are of all runs in the folder: a heat map, the curve with its phases, and accuracy against the sizes of the models.
"""

import dataclasses

import jax

import command_line
import experiment
import icl_train as training
from gpicl_run import GpiclRun, Sets, make_sets
from phases_pictures import draw, read_points
from phases_presets import PRESETS, Group, PhasesConfig, settings_of_all


def main(config: PhasesConfig) -> None:
    """Run the groups that are not finished, and draw all that there is."""
    training.use_cpu_cores()  # before anything else makes JAX look for devices
    with command_line.one_line_errors():
        sets = make_sets(config.data)
        groups = config.groups()
        check_alike(config)
        todo = [group for group in groups if not is_finished(group)]
        for group in todo:  # so that none is found impossible after others were trained
            jax.eval_shape(GpiclRun(group.members[0], sets, None).init, jax.random.key(0))
    print(f"{len(groups) - len(todo)} of {len(groups)} groups are finished.")
    for number, group in enumerate(todo, start=1):
        print(f"group {number} of {len(todo)}: {len(group.members)} runs in {group.config.workdir}")
        run_group(group, sets)
    trained = next(iter(sets.values()))[0]
    shape = {"num_labels": config.data.ways or trained.num_classes, "dimensions": trained.items.shape[1]}
    with command_line.one_line_errors():
        print(draw(config.workdir, read_points(config.workdir), **shape))


def check_alike(config: PhasesConfig) -> None:
    """Refuse to put runs into a folder that has runs of other settings, besides those that a grid varies."""
    wanted = command_line.to_json(settings_of_all(config))
    for point in read_points(config.workdir):
        found = command_line.to_json(settings_of_all(point.config))
        found["train"]["steps"] = point.summary["train"]["steps"]
        if found != wanted and "failed_at" not in point.summary["train"]:
            differing = [
                f"{part}.{name} {value} and not {wanted[part][name]}"
                for part, values in found.items()
                if isinstance(values, dict)
                for name, value in values.items()
                if value != wanted[part][name]
            ]
            raise ValueError(
                f"{config.workdir} has runs with {', '.join(differing)}; ask for the same, or give another workdir."
            )


def is_finished(group: Group) -> bool:
    """Tell whether all runs of a group have their summaries and their pages, which are written last."""
    return all(
        (member.workdir / name).is_file() for member in group.members for name in ("summary.json", "report.html")
    )


def run_group(group: Group, sets: Sets) -> None:
    """Train and evaluate the runs of a group together, from their latest checkpoint if there is one."""
    resume = (group.config.workdir / "config.json").is_file()
    config, *runs = (dataclasses.replace(each, resume=resume) for each in (group.config, *group.members))
    experiment.execute(config, runs, lambda config, mesh: GpiclRun(config, sets, mesh))


if __name__ == "__main__":
    command_line.run(main, PRESETS, default="laptop")
