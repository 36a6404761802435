"""Recurrent classifier and regressor in the tests over all families."""

from support.case import Case
from support.user_files import write_steps

rnn = Case(
    noiseless=["--model.head_dropout", "0"],
    files=write_steps,
    trained_on=["--data.csv", "steps.csv", "--data.target", "label", "--data.group", "id"],
)
rnn_adding = Case(shorter={"length": 10, "num_samples": 640}, small={"hidden_size": 16})
