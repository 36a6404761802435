"""Runs of a recipe's program that end with an error."""

import pytest
from nnzoo.recipes import vae

from nnzoo.errors import run_main


@pytest.fixture
def ends_with(capfd):
    """Runs a recipe's program and returns its error sentence."""

    def run(args, main=vae.main):
        with pytest.raises(SystemExit) as end:
            run_main(lambda: main(args))
        assert end.value.code in (1, 2)
        output = capfd.readouterr().err
        assert "Traceback" not in output
        assert output.count("error:") == 1
        sentence = output.partition("error:")[2].strip()
        assert "\n" not in sentence
        return sentence

    return run
