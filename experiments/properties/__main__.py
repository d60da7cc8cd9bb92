"""Vary one property of the data at a time, and see what it does to ICL and IWL (Chan et al. 2022, figures 2 to 6).

    python -m experiments.properties --workdir runs/properties    12 settings x 2 seeds
    python -m experiments.properties --workdir runs/properties --properties p_bursty classes --seeds 3
    python -m experiments.properties --workdir runs/longer --train.steps 16000
                                                                  a trend that does not show yet may show then

The same command again goes on where it was stopped: a run that is finished is never run again. The page has a
figure for each property, and a table of the paper's trends: which hold here, which do not, and the numbers.
"""

import icl_lab as lab
from experiments.omniglot.run import OMNIGLOT
from experiments.properties.config import PRESETS, VARIED, PropertiesConfig
from experiments.properties.pictures import draw


def main(config: PropertiesConfig) -> None:
    """Run what is not finished, and draw all that there is."""
    lab.execute_sweep(OMNIGLOT, config.sweep(), vary=VARIED)
    with lab.one_line_errors():
        lab.say(draw(config))


if __name__ == "__main__":
    lab.run(main, PRESETS, name="properties", default="laptop", description=__doc__)
