"""Sparse features give what dense ones give."""

import torch

from nnzoo.nets.sparse_features import FeatureDropout, FeatureLinear, dense, identity, sparse_where_worthwhile


def bags(rows=200, columns=300, share=0.05):
    generator = torch.Generator().manual_seed(0)
    kept = torch.rand(rows, columns, generator=generator) < share
    return torch.rand(rows, columns, generator=generator) * kept


def test_only_matrices_of_mostly_zeros_become_sparse():
    few, many = bags(), bags(share=0.5)
    assert sparse_where_worthwhile(few).layout == torch.sparse_csr
    assert sparse_where_worthwhile(many) is many
    torch.testing.assert_close(dense(sparse_where_worthwhile(few)), few)


def test_products_and_their_gradients_are_those_of_the_dense_matrix():
    torch.manual_seed(0)
    x, layer = bags(), FeatureLinear(300, 16)
    gradients = []
    for features in (x, x.to_sparse_csr()):
        layer.zero_grad()
        layer(features).square().sum().backward()
        gradients.append((layer(features), layer.weight.grad.clone()))
    torch.testing.assert_close(*gradients)


def test_products_under_autocast_are_those_in_full_precision():
    """PyTorch has no sparse product in bfloat16 on a CPU."""
    x, layer = bags().to_sparse_csr(), FeatureLinear(300, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    torch.testing.assert_close(found, layer(x))


def test_the_identity_takes_memory_for_its_ones():
    found = identity(7)
    assert torch.equal(found.to_dense(), torch.eye(7))
    assert found.values().numel() == 7
    assert sparse_where_worthwhile(found) is found


def test_dropout_keeps_a_share_of_the_values_and_their_expectation():
    torch.manual_seed(0)
    x = bags().to_sparse_csr()
    dropped = FeatureDropout(0.25)(x)
    kept = dropped.values() != 0
    assert abs(kept.float().mean() - 0.75) < 0.03
    torch.testing.assert_close(dropped.values()[kept], x.values()[kept] / 0.75)
    assert torch.equal(FeatureDropout(0.25).eval()(x).values(), x.values())
    assert torch.equal(dropped.col_indices(), x.col_indices())


def test_a_known_order_by_column_gives_the_same_bits():
    """So it does after dropout, and where a column has no values."""
    x = bags()
    x[:, 7] = 0
    known, unknown, layer = sparse_where_worthwhile(x), x.to_sparse_csr(), FeatureLinear(300, 16)
    assert torch.equal(known.by_column.starts, x.t().to_sparse_csr().crow_indices())
    assert torch.equal(known.by_column.rows, x.t().to_sparse_csr().col_indices())
    assert torch.equal(known.values()[known.by_column.order], x.t().to_sparse_csr().values())
    assert not hasattr(unknown, "by_column")
    gradients = []
    for features in (known, unknown):
        torch.manual_seed(0)
        layer.zero_grad()
        layer(FeatureDropout(0.5)(features)).square().sum().backward()
        gradients.append(layer.weight.grad.clone())
    assert torch.equal(*gradients)


def test_features_that_need_a_gradient_get_it():
    """A product in a known order has none of the features."""
    x, layer = sparse_where_worthwhile(bags()).requires_grad_(), FeatureLinear(300, 4)
    layer(x).sum().backward()
    expected = layer.weight.detach().sum(0).expand(200, 300) * (bags() != 0)
    torch.testing.assert_close(x.grad.to_dense(), expected)


def test_dropped_features_keep_the_order_that_spares_a_sort():
    known = sparse_where_worthwhile(bags())
    assert FeatureDropout(0.5)(known).by_column is known.by_column
    assert "OrderedProduct" in FeatureLinear(300, 4)(FeatureDropout(0.5)(known)).grad_fn.name()
    assert sparse_where_worthwhile(identity(7)).by_column.order.tolist() == list(range(7))
