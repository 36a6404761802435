"""The forecaster in the tests over all families."""

from support.case import Case

forecaster = Case(noiseless=["--model.dropout", "0"], other_values={"patch_length": [12]})
