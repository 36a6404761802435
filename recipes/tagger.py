"""A recurrent network that answers at every step: copy memory, the next chord of a chorale, tags of your CSV.

Copy memory as in Bai et al. 2018, arXiv:1803.01271; JSB chorales, Boulanger-Lewandowski et al. 2012, arXiv:1206.6392.

    python -m nnzoo.recipes.tagger
    python -m nnzoo.recipes.tagger --config tagger_jsb
    python -m nnzoo.recipes.tagger --config tagger_jsb_gru
    python -m nnzoo.recipes.tagger --data.csv steps.csv --data.target state --data.group id --data.time second

Published negative log-likelihoods per step on the chorales' test part: RNN 8.91, LSTM 8.45, GRU 8.43 (arXiv:1803.01271,
table 1). As in those authors' code, all steps of all test pieces are added up and divided by their number; the first
step of a piece is given, not scored; the epoch is chosen by the validation part.

Copy memory: 0.0006622 nats a step. Chorales: LSTM 8.354, GRU 8.412, plain RNN 8.693. Means of three seeds. The README
has the times and the hardware.
"""

from nnzoo.data.sequences.module import SequenceDataModule
from nnzoo.errors import run_main
from nnzoo.modules.tagger import SequenceTagger
from nnzoo.run.recipe import run_recipe

MODELS = {"tagging": SequenceTagger, "multilabel": SequenceTagger}


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(MODELS, SequenceDataModule, recipe="tagger", args=args)


if __name__ == "__main__":
    run_main(main)
