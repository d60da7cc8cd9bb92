"""Draw the phases of learning to learn: number of tasks x width, or x another setting (Kirsch et al. 2022).

    python -m experiments.phases --workdir runs/phases    projected digits, 6 pools x widths 16, 32 and 64 x 2 seeds:
                                                          about 25 minutes on two cores; from 2^10 tasks on, widths
                                                          32 and 64 learn to learn
    python -m experiments.phases --workdir runs/phases --grid.width 64 --grid.trunk lstm outer_product_lstm mlp
                                                          other trunks beside them, in the same pictures
    python -m experiments.phases --grid.eps 1e-8 1e-5 --grid.p-identity 0 0.5
                                                          interventions on the plateau

The same command again goes on where it was stopped: a run that is finished is never run again. The pictures
are of all runs in the folder: a heat map, the curve with its phases, and accuracy against the sizes of the models.
"""

import icl_lab as lab
from experiments.gpicl.data import make_sets, read_banks
from experiments.gpicl.run import GPICL
from experiments.phases.config import PRESETS, VARIED, PhasesConfig
from experiments.phases.pictures import draw, read_points


def main(config: PhasesConfig) -> None:
    """Run what is not finished, and draw all that there is."""
    sweep = config.sweep()
    lab.execute_sweep(GPICL, sweep, vary=VARIED)
    with lab.one_line_errors():
        trained, _ = next(iter(make_sets(config.data, read_banks(config.data)).values()))
        num_labels = config.data.ways or trained.num_classes
        lab.say(draw(config.workdir, read_points(sweep.base), num_labels=num_labels, dimensions=trained.items.shape[1]))


if __name__ == "__main__":
    lab.run(main, PRESETS, name="phases", default="laptop", description=__doc__)
