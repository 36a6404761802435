"""The toy generator in the tests over all families."""

from support.case import Case

toy_gan = Case(flags=["--trainer.strategy", "ddp_find_unused_parameters_true"])
