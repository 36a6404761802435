"""The tagger in the tests over all families."""

from support.case import Case

tagger = Case(shorter={"num_samples": 640})
