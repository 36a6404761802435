"""The tagger in the tests over all families."""

from support.case import Case
from support.user_files import write_steps

SMALL = {"hidden_size": 16}

tagger = Case(shorter={"num_samples": 640}, quicker=SMALL, small=SMALL, files=write_steps)
