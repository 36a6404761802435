"""An encoder of transformers that classifies or regresses texts: BERT and its kin, fine-tuned.

Paper: Devlin et al. 2018, arXiv:1810.04805.

    python -m nnzoo.recipes.bert
    python -m nnzoo.recipes.bert --config bert_frozen
    python -m nnzoo.recipes.bert --config bert_sst2
    python -m nnzoo.recipes.bert --model.pretrained FOLDER --data.train_file reviews.tsv
    python -m nnzoo.recipes.bert --model.tuning lora --model.lr 0.002
    python -m nnzoo.recipes.bert predict --ckpt_path runs/bert/RUN/best.ckpt --data.predict_file new.txt

--config multi_gpu trains on all GPUs of a node; --config fsdp too, with the weights divided among them, for a model
that is too large for one.

Any encoder of transformers will do: a folder or a name on the Hugging Face hub, with its own tokenizer. Without one the
recipe takes a tiny BERT that comes with the package, which the recipe mlm has trained. The labels say whether it
classifies, finds several labels or regresses.
"""

from nnzoo.data.text.module import TextClassificationDataModule
from nnzoo.errors import run_main
from nnzoo.modules.bert import BertClassifier, BertMultilabelClassifier, BertRegressor
from nnzoo.run.recipe import run_recipe

MODELS = {"classification": BertClassifier, "multilabel": BertMultilabelClassifier, "regression": BertRegressor}


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(MODELS, TextClassificationDataModule, recipe="bert", args=args)


if __name__ == "__main__":
    run_main(main)
