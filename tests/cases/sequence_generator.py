"""The generator of rows in the tests over all families."""

from support.case import AUGMENTED, Case

SMALL = {"hidden_size": 16}

sequence_generator = Case(noiseless=["--model.dropout", "0", *AUGMENTED], quicker=SMALL, small=SMALL)
