"""Watch a Transformer learn linear regression in context (Garg et al. 2022).

    python -m experiments.linear                          5 dimensions, fresh functions for ever, beside least squares
    python -m experiments.linear --data.num-tasks 64      a pool of 64
    python -m experiments.linear causal                   every point from those before it, beside ridge, the best
    python -m experiments.linear raventos                 8 dimensions, a pool of 2^10 tasks, beside ridge and dMMSE
    python -m experiments.linear sweep raventos --workdir runs/raventos
                                                          pools of 2^2 to 2^18 tasks, and fresh ones, x 2 seeds
    python -m experiments.linear garg                     20 dimensions, 12 layers: for an accelerator
    python -m experiments.linear.theory                   linear attention beside its error in closed form

Inputs and weights are standard normal; errors are squared, so that guessing 0 comes to the number of dimensions.
"""

import icl_lab as lab
from experiments.linear.run import LINEAR

if __name__ == "__main__":
    lab.main(LINEAR, description=__doc__)
