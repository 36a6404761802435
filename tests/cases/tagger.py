"""The tagger in the tests over all families."""

from support.case import Case
from support.user_files import write_steps

tagger = Case(shorter={"num_samples": 640}, files=write_steps)
