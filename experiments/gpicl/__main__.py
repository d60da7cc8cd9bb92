"""Watch a Transformer learn to learn: from memorising tasks to learning any from its examples (Kirsch et al. 2022).

    python -m experiments.gpicl                           projected digits, fresh tasks for ever: about 3 minutes on
                                                          two cores, 0.79 on unseen tasks, chance 0.25
    python -m experiments.gpicl --data.num-tasks 16       it memorises: 0.87 at the first item of seen tasks
    python -m experiments.gpicl --data.num-tasks 128      it finds out which of the tasks it is
    python -m experiments.gpicl --model.trunk lstm        an LSTM, of small state
    python -m experiments.gpicl paper --data.source idx --data.images train-images-idx3-ubyte.gz --data.labels ...
                                                          MNIST as in the paper, for an accelerator
    python -m experiments.gpicl --data.extra glyphs --data.extra-omniglot Greek --data.zips images_background.zip
                                                          tested on invented characters and ten of Omniglot's, too
    python -m experiments.gpicl --model.positions none --eval.longer 32
                                                          tested on sequences twice as long, too
    python -m experiments.gpicl.table runs/x runs/y       runs in the form of the paper's table 1, beside its numbers
    python -m experiments.gpicl sweep phases --workdir runs/phases
                                                          6 pools of tasks x widths 16, 32 and 64 x 2 seeds: from 2^10
                                                          tasks on, widths 32 and 64 learn to learn
    python -m experiments.gpicl sweep phases --grid.model.width 64 --grid.model.trunk lstm mlp --workdir runs/phases
                                                          other trunks beside them, in the same pictures
    python -m experiments.gpicl runs/x --resume           go on with a run
    python -m experiments.gpicl runs/x --mode eval        evaluate its latest checkpoint again

A task is a random projection of the images and a random permutation of labels. The model sees items with the label of
the item before, and names each. Seen tasks are those of training, with images that were not in it; unseen ones are new.
"""

import icl_lab as lab
from experiments.gpicl.run import GPICL

if __name__ == "__main__":
    lab.main(GPICL, description=__doc__)
