import pytest
import torch


@pytest.fixture(autouse=True)
def global_seed():
    torch.manual_seed(0)
