"""Watch a Transformer learn linear regression in context (Garg et al. 2022).

    python -m experiments.linear                          5 dimensions, fresh functions for ever, beside least squares
    python -m experiments.linear --data.num-tasks 64      a pool of 64
    python -m experiments.linear garg                     20 dimensions, 12 layers: for an accelerator

Inputs and weights are standard normal; errors are squared, so that guessing 0 comes to the number of dimensions.
"""

import icl_lab as lab
from experiments.linear.run import LINEAR

if __name__ == "__main__":
    lab.main(LINEAR, description=__doc__)
