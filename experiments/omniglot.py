"""Watch in-context learning emerge on sequences of character images and labels (Chan et al. 2022).

    python experiments/omniglot.py                        glyphs: about 2 minutes on two cores, ICL about 0.95
    python experiments/omniglot.py laptop_omniglot --data.zips images_background.zip
    python experiments/omniglot.py laptop_iwl             no bursts: IWL about 0.99, ICL stays at chance, 0.5
    python experiments/omniglot.py --model.trunk lstm     an LSTM does not get there
    python experiments/omniglot.py all_exemplars --data.zips images_background.zip images_evaluation.zip
                                                          the paper's settings, for an accelerator
    python experiments/omniglot.py --train.ensemble.members 4 --vary.p-bursty 0 0.5 0.9 1
                                                          four runs in one program, each in a folder of its own
    python experiments/omniglot.py runs/x --resume        go on with a run
    python experiments/omniglot.py runs/x --mode eval     evaluate its latest checkpoint again (--step N: another)
    JAX_PLATFORMS=cpu python experiments/omniglot.py runs/x --mode follow
                                                          while another process trains it (--mode train): evaluate
                                                          each new checkpoint, without its accelerator

ICL is the closed accuracy on few-shot problems of held-out characters, chance 1 / ways. IWL is the accuracy on
trained characters that the context does not show.
"""

from jax.sharding import Mesh

import command_line
import experiment
from omniglot_parts import make_classes
from omniglot_presets import PRESETS, OmniglotConfig
from omniglot_run import OmniglotRun


def main(config: OmniglotConfig) -> None:
    """Train, evaluate on the way, and report."""

    def make(config: OmniglotConfig, mesh: Mesh | None) -> OmniglotRun:
        return OmniglotRun(config, *make_classes(config.data), mesh)

    experiment.execute(config, config.members(), make)


if __name__ == "__main__":
    command_line.run(main, PRESETS, default="laptop")
