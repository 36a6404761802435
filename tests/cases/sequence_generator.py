"""The generator of rows in the tests over all families."""

from support.case import AUGMENTED, Case

sequence_generator = Case(noiseless=["--model.dropout", "0", *AUGMENTED])
