"""Vary one property of the data at a time, and see what it does to ICL and IWL (Chan et al. 2022, figures 2 to 6).

    python experiments/properties.py --workdir runs/properties    12 settings x 2 seeds
    python experiments/properties.py --workdir runs/properties --properties p_bursty classes --seeds 3
    python experiments/properties.py --workdir runs/longer --train.steps 16000
                                                                  a trend that does not show yet may show then

The same command again goes on where it was stopped: a setting that is finished is never run again. The page has a
figure for each property, and a table of the paper's trends: which hold here, which do not, and the numbers.
"""

import dataclasses

import jax
from jax.sharding import Mesh

import command_line
import experiment
import icl_train as training
from omniglot_parts import make_classes
from omniglot_presets import OmniglotConfig
from omniglot_run import OmniglotRun
from properties_pictures import draw, summary
from properties_presets import PRESETS, PropertiesConfig


def main(config: PropertiesConfig) -> None:
    """Run the settings that are not finished, and draw all that there is."""
    training.use_cpu_cores()  # before anything else makes JAX look for devices
    runs = config.runs()
    with command_line.one_line_errors():
        todo = [run for run in runs.values() if not is_finished(run)]
        for run in todo:  # so that none is found impossible after others were trained
            jax.eval_shape(make_run(run.members()[0], None).init, jax.random.key(0))
    print(f"{len(runs) - len(todo)} of {len(runs)} settings are finished.")
    for number, run in enumerate(todo, start=1):
        print(f"setting {number} of {len(todo)}: {run.workdir.name}")
        resumed = dataclasses.replace(run, resume=(run.workdir / "config.json").is_file())
        experiment.execute(resumed, resumed.members(), make_run)
    with command_line.one_line_errors():
        print(draw(config))


def make_run(config: OmniglotConfig, mesh: Mesh | None) -> OmniglotRun:
    """Build the run of a configuration."""
    return OmniglotRun(config, *make_classes(config.data), mesh)


def is_finished(config: OmniglotConfig) -> bool:
    """Tell whether all seeds of a setting were trained to the end, by their summaries and pages, which come last.

    Raises:
      ValueError: runs of other settings are in their folders.
    """
    members = config.members()
    if not all((member.workdir / "report.html").is_file() for member in members):
        return False
    for member in members:  # of whatever else was asked for in this workdir
        settings, defaults = command_line.to_json(member), command_line.to_json(OmniglotConfig())
        training.open_run(member.workdir, settings, resume=True, read_only=True, defaults=defaults)
    return all(summary(member.workdir)["train"].get("steps") == config.train.steps for member in members)


if __name__ == "__main__":
    command_line.run(main, PRESETS, default="laptop")
