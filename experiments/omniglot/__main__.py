"""Watch in-context learning emerge on sequences of character images and labels (Chan et al. 2022).

    python -m experiments.omniglot                        glyphs: about 2 minutes on two cores, ICL 0.97
    python -m experiments.omniglot laptop_omniglot --data.zips images_background.zip
    python -m experiments.omniglot laptop_iwl             no bursts: IWL about 1.00, ICL stays at chance, 0.5
    python -m experiments.omniglot --model.trunk lstm     an LSTM does not get there
    python -m experiments.omniglot all_exemplars --data.zips images_background.zip images_evaluation.zip
                                                          the paper's settings, for an accelerator
    python -m experiments.omniglot --train.ensemble.members 4 --vary.p-bursty 0 0.5 0.9 1
                                                          four runs in one program, each in a folder of its own
    python -m experiments.omniglot sweep laptop --grid.data.p-bursty 0 0.5 1 --seeds 4 --workdir runs/s
                                                          any options, in as many runs; the same command goes on
    python -m experiments.omniglot sweep properties --workdir runs/properties
                                                          one property of the data at a time, and the paper's trends
    python -m experiments.omniglot sweep induction --workdir runs/induction
                                                          parts of an induction circuit given for free, and how long
                                                          the plateau then is (Singh et al. 2024)
    python -m experiments.omniglot sweep forgetting --workdir runs/forgetting
                                                          what keeps ICL: embeddings that are drawn anew; also
                                                          transience (L2) and coopetition (matched exemplars)
    python -m experiments.omniglot runs/x --resume        go on with a run
    python -m experiments.omniglot runs/x --mode eval     evaluate its latest checkpoint again (--step N: another)
    JAX_PLATFORMS=cpu python -m experiments.omniglot runs/x --mode follow
                                                          while another process trains it (--mode train): evaluate
                                                          each new checkpoint, without its accelerator

ICL is the closed accuracy on few-shot problems of held-out characters, chance 1 / ways. IWL is the accuracy on
trained characters that the context does not show.
"""

import icl_lab as lab
from experiments.omniglot.run import OMNIGLOT

if __name__ == "__main__":
    lab.main(OMNIGLOT, description=__doc__)
