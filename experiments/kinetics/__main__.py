"""When a minimal model learns in context, and when in weights (Nguyen and Reddy 2024).

    python -m experiments.kinetics                        fresh classes for ever: ICL after a plateau
    python -m experiments.kinetics --data.classes 64      64 classes: learned by heart before ICL comes
    python -m experiments.kinetics full                   the paper's numbers: a context of 100, 469,000 steps
    python -m experiments.kinetics sweep onset --workdir runs/onset
                                                          how long the plateau is, by the length of the context
    python -m experiments.kinetics sweep classes --workdir runs/classes
                                                          from how many classes on ICL wins, by that length

ICL is the accuracy on classes never trained on, IWL that on trained ones which the context does not show; chance is
0.5 with two labels. A model that takes the context's more frequent label, whatever the query is, is right 0.64, 0.60
and 0.57 of the time in contexts of 8, 16 and 32.
"""

import icl_lab as lab
from experiments.kinetics.run import KINETICS

if __name__ == "__main__":
    lab.main(KINETICS, description=__doc__)
