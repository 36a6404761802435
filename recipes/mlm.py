"""A masked language model: an encoder that learns from texts without labels, as BERT did.

Paper: Devlin et al. 2018, arXiv:1810.04805.

    python -m nnzoo.recipes.mlm
    python -m nnzoo.recipes.mlm --data.train_file my_texts.txt
    python -m nnzoo.recipes.mlm --model.pretrained FOLDER --data.train_file my_texts.txt

--config multi_gpu trains on all GPUs of a node; --config fsdp too, with the weights divided among them, for a model
that is too large for one.

The recipe bert takes further what it has learned: ``MaskedLanguageModel.load_from_checkpoint(...).export(FOLDER)``,
then ``python -m nnzoo.recipes.bert --model.pretrained FOLDER``.
"""

from nnzoo.data.text.language_module import TextDataModule
from nnzoo.errors import run_main
from nnzoo.modules.mlm import MaskedLanguageModel
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(MaskedLanguageModel, TextDataModule, recipe="mlm", args=args)


if __name__ == "__main__":
    run_main(main)
