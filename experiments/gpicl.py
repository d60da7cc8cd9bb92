"""Watch a Transformer learn to learn: from memorising tasks to learning any from its examples (Kirsch et al. 2022).

    python experiments/gpicl.py                           projected digits, fresh tasks for ever: about 3 minutes on
                                                          two cores, 0.80 on unseen tasks, chance 0.25
    python experiments/gpicl.py --data.num-tasks 16       it memorises: 0.87 at the first item of seen tasks
    python experiments/gpicl.py --data.num-tasks 128      it finds out which of the tasks it is
    python experiments/gpicl.py --model.trunk lstm        an LSTM, of small state
    python experiments/gpicl.py paper --data.source idx --data.images train-images-idx3-ubyte.gz --data.labels ...
                                                          MNIST as in the paper, for an accelerator
    python experiments/gpicl.py runs/x --resume           go on with a run
    python experiments/gpicl.py runs/x --mode eval        evaluate its latest checkpoint again

A task is a random projection of the images and a random permutation of labels. The model sees items with the label of
the item before, and names each. Seen tasks are those of training, with images that were not in it; unseen ones are new.
"""

from jax.sharding import Mesh

import command_line
import experiment
from gpicl_presets import PRESETS, GpiclConfig
from gpicl_run import GpiclRun, make_sets


def main(config: GpiclConfig) -> None:
    """Train, evaluate on the way, and report."""

    def make(config: GpiclConfig, mesh: Mesh | None) -> GpiclRun:
        return GpiclRun(config, make_sets(config.data), mesh)

    experiment.execute(config, config.members(), make)


if __name__ == "__main__":
    command_line.run(main, PRESETS, default="laptop")
