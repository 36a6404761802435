"""LoRA: a pretrained language model learns another kind of text through low-rank matrices beside its frozen weights.

Paper: Hu et al. 2021, arXiv:2106.09685. The packaged tiny decoder has read the English of Python's documentation; here
it learns to write Python code, the functions of the standard library without their docstrings. Nine in a hundred
weights learn, and the perplexity goes from 141.7 to 44.35, where trigrams of the same tokens have 53.72.

SmolLM2-135M (lora_local, learning rate 0.001, 48 steps of 8 blocks, 0.7 % of its weights) goes from 44.15 to 32.15 on
plays of Shakespeare that it was not trained on, where trigrams have 162.8.

    python -m nnzoo.recipes.lora
    python -m nnzoo.recipes.lora predict --ckpt_path runs/lora/RUN/best.ckpt --model.prompt "def "
    python -m nnzoo.recipes.lora --config lora_gpt2
    python -m nnzoo.recipes.lora --config lora_local --model.pretrained FOLDER --data.train_file texts.txt
    python -m nnzoo.recipes.lora --config lora_local --model.pretrained FOLDER --data.train_file chats.csv \
        --data.prompt question --data.answer reply

--config multi_gpu trains on all GPUs of a node; --config fsdp too, with the weights divided among them, for a model
that is too large for one.

Checkpoints hold the adapter alone; in Python, `LoRACausalLM.load_from_checkpoint(PATH).merge(FOLDER)` writes a plain
model for transformers, and `save_adapter(FOLDER)` an adapter for peft.
"""

from nnzoo.data.text.language_module import TextDataModule
from nnzoo.errors import run_main
from nnzoo.modules.lora import LoRACausalLM
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(LoRACausalLM, TextDataModule, recipe="lora", args=args)


if __name__ == "__main__":
    run_main(main)
