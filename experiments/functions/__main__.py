"""Watch a Transformer learn to fit functions that it was never trained on (the function form of Kirsch et al. 2022).

    python -m experiments.functions                       random networks of one input, fresh ones for ever: 5 minutes
                                                          of training on two cores and 3 of evaluation; below 3-NN
                                                          on 10 of 12 known families
    python -m experiments.functions --data.num-tasks 64   a pool of 64
    python -m experiments.functions notebook              the notebook that this grew from, its defects mended
    python -m experiments.functions --data.tasks relu_15_20_1
                                                          one of its 15-dimensional distributions
    python -m experiments.functions full                  for an accelerator
    python -m experiments.functions runs/x --resume       go on with a run
    python -m experiments.functions runs/x --mode eval    evaluate its latest checkpoint again

A task is a random network, shown by points of which a few are queries, whose targets are hidden. The table at the end
is of families of functions that training did not have; errors are squared, of targets of variance 1 in the context.
"""

import icl_lab as lab
from experiments.functions.run import FUNCTIONS

if __name__ == "__main__":
    lab.main(FUNCTIONS, description=__doc__)
