"""A causal language model from scratch, on the English and the examples of Python's own documentation.

A small GPT-2 (Radford et al. 2019) reads docstrings and reference topics of the running Python's standard library and
learns to predict the next token; a Llama (arXiv:2302.13971) by --model.architecture llama. The perplexity of held-out
texts is 95.57 a token, that of trigrams 99.3.

    python -m nnzoo.recipes.clm
    python -m nnzoo.recipes.clm --data.train_file book.txt
    python -m nnzoo.recipes.clm --model.pretrained FOLDER_OR_NAME --data.train_file book.txt
    python -m nnzoo.recipes.clm predict --ckpt_path runs/clm/RUN/best.ckpt --model.prompt "Return the"

--config multi_gpu trains on all GPUs of a node; --config fsdp too, with the weights divided among them, for a model
that is too large for one.

With --model.pretrained all weights of that model are trained further; recipes.lora trains an adapter instead.
"""

from nnzoo.data.text.language_module import TextDataModule
from nnzoo.errors import run_main
from nnzoo.modules.clm import CausalLM
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(CausalLM, TextDataModule, recipe="clm", args=args)


if __name__ == "__main__":
    run_main(main)
