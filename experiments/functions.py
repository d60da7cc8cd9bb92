"""Watch a Transformer learn to fit functions that it was never trained on (the function form of Kirsch et al. 2022).

    python experiments/functions.py                       random networks of one input, fresh ones for ever: 5 minutes
                                                          of training on two cores and 3 of evaluation; below 3-NN
                                                          on 10 of 12 known families
    python experiments/functions.py --data.num-tasks 64   a pool of 64
    python experiments/functions.py notebook              the notebook that this grew from, its defects mended
    python experiments/functions.py --data.tasks relu_15_20_1 --data.inputs normal
                                                          one of its 15-dimensional distributions
    python experiments/functions.py full                  for an accelerator
    python experiments/functions.py runs/x --resume       go on with a run
    python experiments/functions.py runs/x --mode eval    evaluate its latest checkpoint again

A task is a random network, shown by points of which a few are queries, whose targets are hidden. The table at the end
is of families of functions that training did not have; errors are squared, of targets of variance 1 in the context.
"""

from jax.sharding import Mesh

import command_line
import experiment
from functions_presets import PRESETS, FunctionsConfig
from functions_run import FunctionsRun


def main(config: FunctionsConfig) -> None:
    """Train, evaluate on the way, and report."""

    def make(config: FunctionsConfig, mesh: Mesh | None) -> FunctionsRun:
        return FunctionsRun(config, mesh)

    experiment.execute(config, config.members(), make)


if __name__ == "__main__":
    command_line.run(main, PRESETS, default="laptop")
