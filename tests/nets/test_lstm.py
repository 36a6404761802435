import pytest
import torch

from nnzoo.nets import lstm
from nnzoo.nets.lstm import LSTM


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("has_kernel", [True, False])
def test_autocast_on_a_cpu_without_the_kernel_runs_in_float32(monkeypatch, dtype, has_kernel):
    if has_kernel and not lstm.has_kernel(dtype):
        pytest.skip("this CPU has no such kernel")
    monkeypatch.setattr(lstm, "has_kernel", lambda _: has_kernel)
    torch.manual_seed(0)
    net, inputs = LSTM(8, 16, 2, batch_first=True), torch.randn(4, 5, 8)
    exact, (h, c) = net(inputs)
    again, _ = net(inputs, (h, c))
    with torch.autocast("cpu", dtype):
        outputs, state = net(inputs)
        onward, _ = net(inputs.to(dtype), tuple(part.to(dtype) for part in state))
    outputs.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    torch.testing.assert_close(outputs.float(), exact, atol=0.02, rtol=0)
    torch.testing.assert_close(onward.float(), again, atol=0.02, rtol=0)
    if not has_kernel:
        assert outputs.dtype == torch.float32
        assert (outputs == exact).all()
