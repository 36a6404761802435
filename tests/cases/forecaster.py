"""The forecaster in the tests over all families."""

from support.case import Case

forecaster = Case(noiseless=["--model.dropout", "0"], shorter={"batch_size": 640}, other_values={"patch_length": [12]})
