"""The perceptron in the tests over all families."""

from support.case import Case

mlp = mlp_diabetes = Case(noiseless=["--model.dropout", "0"], small={"hidden": (16, 8)})
