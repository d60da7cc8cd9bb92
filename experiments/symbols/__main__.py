"""Watch a Transformer predict symbols from urns or Markov chains: does it remember those it saw, or count?

    python -m experiments.symbols                         256 urns of 8 symbols (Wurgaft et al. 2025)
    python -m experiments.symbols --data.num-tasks None   a fresh urn for each sequence
    python -m experiments.symbols markov                  256 Markov chains of 4 symbols (Park et al. 2024)
    python -m experiments.symbols sweep pools --workdir runs/urns
                                                          pools of 4 to 4,096 urns, and fresh ones, x 2 seeds
    python -m experiments.symbols sweep pools_markov --workdir runs/markov
                                                          the same of chains
    python -m experiments.symbols runs/x --resume         go on with a run

Losses are in nats. The memorising predictor knows all tasks of the pool, and finds out which one it sees; the
generalising one counts the symbols so far. The model's relative distance is 0 at the first and 1 at the second.
"""

import icl_lab as lab
from experiments.symbols.run import SYMBOLS

if __name__ == "__main__":
    lab.main(SYMBOLS, description=__doc__)
