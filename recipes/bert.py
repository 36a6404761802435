"""An encoder of transformers that classifies or regresses texts: BERT and its kin, fine-tuned.

Paper: Devlin et al. 2018, arXiv:1810.04805.

    python -m nnzoo.recipes.bert
    python -m nnzoo.recipes.bert --config bert_frozen
    python -m nnzoo.recipes.bert --config bert_sst2
    python -m nnzoo.recipes.bert --config bert_minilm
    python -m nnzoo.recipes.bert --model.pretrained FOLDER --data.train_file reviews.tsv
    python -m nnzoo.recipes.bert --config bert_lora
    python -m nnzoo.recipes.bert predict --ckpt_path runs/bert/RUN/best.ckpt --data.predict_file new.txt

--config multi_gpu trains on all GPUs of a node; --config fsdp too, with the weights divided among them, for a model
that is too large for one.

Any encoder of transformers will do: a folder or a name on the Hugging Face hub, with its own tokenizer. Without one the
recipe takes a tiny BERT that comes with the package, which the recipe mlm has trained. The labels say whether it
classifies, finds several labels or regresses.

The tiny BERT tells the area of a docstring in 0.7906 of the test texts with all its weights, in 0.7242 with adapters
and in 0.5463 with the head alone; the same network with random weights in 0.7403 (--config bert_scratch), TF-IDF with
logistic regression in 0.7861. On so few texts counted words are hard to beat: what helps is that the encoder has read
English of this kind before.

MiniLM, tuned on the 6,920 sentences of SST-2, is right on 0.8876 of the test sentences with all its weights, on 0.8695
with adapters (--config bert_minilm_lora) and on 0.7357 with the head alone (--config bert_minilm_frozen); TF-IDF with
logistic regression on 0.812. Of BERTs of this size the paper of the small ones (Turc et al. 2019, arXiv:1908.08962) has
0.832 (tiny) and 0.859 (mini), trained on the 67,349 phrases.
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
