"""Recurrent classifier and regressor in the tests over all families."""

from support.case import Case

rnn = Case(noiseless=["--model.head_dropout", "0"])
rnn_adding = Case(shorter={"length": 10, "num_samples": 640})
