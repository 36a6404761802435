"""The perceptron in the tests over all families."""

from dataclasses import replace
from pathlib import Path

from support.case import Case


def write_tables() -> None:
    """my.csv, and new.csv without its target."""
    lines = [f"{i % 37},t{i % 3},{3.5 * i}\n" for i in range(100)]
    Path("my.csv").write_text("area,town,price\n" + "".join(lines))
    Path("new.csv").write_text("area,town\n" + "".join(f"{i},t1\n" for i in range(5)))


mlp_diabetes = Case(noiseless=["--model.dropout", "0"], small={"hidden": (16, 8)})
mlp = replace(
    mlp_diabetes,
    files=write_tables,
    trained_on=["--data.csv", "my.csv", "--data.target", "price"],
    tied=["sklearn_mlp"],  # the same model
)
