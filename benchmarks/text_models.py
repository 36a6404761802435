"""Fine-tuning in full, by adapters, of the head alone and from random weights, in one table.

    python benchmarks/text_models.py

Takes score, weights that learn, memory and time from the recorded runs of the recipes. Prints Markdown; README has it,
and ``tests/test_text_table.py`` holds its figures against the records.
"""

import argparse
from typing import Any

from nnzoo.recipes._records import Entry

TABLES = {
    "area of a docstring": {
        "From random weights": "bert_scratch",
        "Head alone": "bert_frozen",
        "LoRA": "bert_lora",
        "All weights": "bert",
    },
    "SST-2, MiniLM": {"Head alone": "bert_minilm_frozen", "LoRA": "bert_minilm_lora", "All weights": "bert_minilm"},
}
"""Recipes by the name in the table, by what it is about."""
HEADER = ("accuracy", "weights that learn", "peak memory", "minutes")
METRIC, BASELINE, BASELINE_NAME = "test/accuracy", "baseline/tfidf/accuracy", "TF-IDF, logistic regression"


def score(metrics: dict[str, Any], name: str) -> str:
    """Mean and standard deviation over the seeds; one figure where there is no chance in it."""
    found = metrics[name]
    return f"{found['mean']:.3f} ± {found['std']:.3f}" if found["std"] > 0 else f"{found['mean']:.3f}"


def rows(recipes: dict[str, str]) -> dict[str, list[str]]:
    """The cells of one table by the first of each row: the baseline, then the recipes that are recorded."""
    results = {name: result for name, recipe in recipes.items() if (result := Entry(recipe).result) is not None}
    first = next(iter(results.values()))
    found = {BASELINE_NAME: [score(first["metrics"], BASELINE), "", "", ""]}
    for name, result in results.items():
        share = result["trained_parameters"] / result["parameters"]
        learning = f"{result['trained_parameters']:,} ({100 * share:.3g} %)"
        memory = f"{result['peak_memory_mib']:,} MiB"
        found[name] = [score(result["metrics"], METRIC), learning, memory, f"{result['minutes']:.1f}"]
    return found


def main() -> None:
    """Prints the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for title, recipes in TABLES.items():
        print(f"| {title} | {' | '.join(HEADER)} |\n|{' --- |' * (len(HEADER) + 1)}")
        for name, cells in rows(recipes).items():
            print(f"| {name} | {' | '.join(cells)} |")
        print()


if __name__ == "__main__":
    main()
