import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces import make_space
from search_spaces.chain import Chain
from search_spaces.compose import answer
from search_spaces.flops import count_flops, level_flops
from search_spaces.transformer import EmbeddedTokens, FeatureTokens, PatchTokens, SelfAttention


def build(input_shape: tuple[int, ...] = (3, 8, 12), **options) -> Chain:
    space = make_space({"family": "transformer", **options}, input_shape=input_shape, num_classes=5)
    torch.manual_seed(0)
    return space.build(answer(space, {}, partial=True))


def test_attention_is_torchs_multi_head_attention():
    ours, reference = SelfAttention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(ours.project_in.weight)
        reference.in_proj_bias.copy_(ours.project_in.bias)
        reference.out_proj.weight.copy_(ours.project_out.weight)
        reference.out_proj.bias.copy_(ours.project_out.bias)
    h_BTD = torch.randn(2, 7, 12)
    expected_BTD, _ = reference(h_BTD, h_BTD, h_BTD, need_weights=False)
    torch.testing.assert_close(ours(h_BTD), expected_BTD)


class WidenThrice(nn.Module):
    """`[B, T, D]` to `[B, T, 3D]` without a product: queries, keys and values that differ."""

    def forward(self, h_BTD: torch.Tensor) -> torch.Tensor:
        return torch.cat([h_BTD, h_BTD.flip(1), 2 * h_BTD], dim=-1)


def test_attention_is_torchs_fused_attention_also_in_its_gradient():
    attention = SelfAttention(12, 2)
    attention.project_in, attention.project_out = WidenThrice(), nn.Identity()
    ours_BTD = torch.randn(3, 7, 12, dtype=torch.float64, requires_grad=True)
    theirs_BTD = ours_BTD.detach().clone().requires_grad_()
    q_BNTd, k_BNTd, v_BNTd = (
        part_BTD.unflatten(-1, (2, 6)).transpose(1, 2) for part_BTD in WidenThrice()(theirs_BTD).chunk(3, dim=-1)
    )
    out_BTD = attention(ours_BTD)
    expected_BTD = functional.scaled_dot_product_attention(q_BNTd, k_BNTd, v_BNTd).transpose(1, 2).flatten(2)
    torch.testing.assert_close(out_BTD, expected_BTD)
    weights_BTD = torch.randn_like(out_BTD)
    (out_BTD * weights_BTD).sum().backward()
    (expected_BTD * weights_BTD).sum().backward()
    torch.testing.assert_close(ours_BTD.grad, theirs_BTD.grad)


def test_a_patch_token_is_a_linear_map_of_its_pixels_plus_its_position():
    stem = PatchTokens((3, 8, 12), 4, 6)
    x_BCHW = torch.randn(2, 3, 8, 12)
    h_BTD = stem(x_BCHW)
    assert h_BTD.shape == (2, 2 * 3, 6)
    # token 4 is row 1, column 1 of the 2 x 3 patches
    patch_BP = x_BCHW[:, :, 4:8, 4:8].flatten(1)
    expected_BD = patch_BP @ stem.embed.weight.flatten(1).T + stem.embed.bias + stem.position_TD[4]
    torch.testing.assert_close(h_BTD[:, 4], expected_BD)


def test_a_feature_token_is_a_line_through_its_value():
    stem = FeatureTokens(4, 6)
    h_BTD = stem(torch.tensor([[0.0, 1.0, -2.0, 0.5]]))
    assert torch.equal(h_BTD[0, 0], stem.bias_FD[0])
    torch.testing.assert_close(h_BTD[0, 2], -2 * stem.weight_FD[2] + stem.bias_FD[2])


@pytest.mark.parametrize("op", ["encoder", "attention", "feed_forward"])
def test_blocks_do_not_care_for_the_order_of_the_tokens(op):
    block = build(depth=1, ops=[op]).blocks[0]
    h_BTD, order = torch.randn(2, 6, 32), torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(block(h_BTD[:, order]), block(h_BTD)[:, order])


def test_only_attention_mixes_tokens():
    h_BTD = torch.randn(1, 6, 32)
    changed_BTD = h_BTD.clone()
    changed_BTD[0, 0] += 1
    for op, mixes in [("encoder", True), ("attention", True), ("feed_forward", False)]:
        block = build(depth=1, ops=[op]).blocks[0]
        assert torch.equal(block(h_BTD)[0, 1:], block(changed_BTD)[0, 1:]) is not mixes, op


def test_flops_and_parameters_of_an_encoder_are_those_of_its_products():
    tokens, width, inner = 2 * 3, 16, 2 * 16
    network = build(depth=1, width=width)
    attention = 2 * tokens * width * (3 * width + width) + 2 * 2 * tokens * tokens * width
    feed_forward = 2 * 2 * tokens * width * inner
    stem = 2 * tokens * (3 * 4 * 4) * width
    assert level_flops(network, (3, 8, 12)) == (stem, attention + feed_forward, 2 * width * 5)
    assert level_flops(build(depth=1, width=width, ops=["attention"]), (3, 8, 12))[1] == attention
    assert level_flops(build(depth=1, width=width, ops=["feed_forward"]), (3, 8, 12))[1] == feed_forward
    norms = 2 * 2 * width
    projections = 4 * width * width + 4 * width
    layers = 2 * width * inner + inner + width
    assert sum(weight.numel() for weight in network.blocks[0].parameters()) == norms + projections + layers


def test_block_width_is_that_of_the_feed_forward():
    tokens = 2 * 3
    network = build(depth=1, width=16, ops=["feed_forward"], block_width=40)
    assert level_flops(network, (3, 8, 12))[1] == 2 * 2 * tokens * 16 * 40


def test_the_heads_do_not_change_the_flops():
    assert len({level_flops(build(depth=1, width=16, heads=heads), (3, 8, 12)) for heads in (1, 4, 16)}) == 1


def test_attention_is_counted_as_the_products_it_is():
    batch, tokens, width, heads = 3, 7, 12, 2
    attention = SelfAttention(width, heads)
    attention.project_in, attention.project_out = WidenThrice(), nn.Identity()
    h_BTD = torch.randn(batch, tokens, width, requires_grad=True)
    head = 2 * (2 * tokens * tokens * (width // heads))  # the scores, and their product with the values
    forward = batch * heads * head
    assert count_flops(lambda: attention(h_BTD)) == forward
    # every product has two gradients, each a product of the same size; nothing is computed again
    assert count_flops(lambda: attention(h_BTD).sum().backward()) == 3 * forward


def language_model(context: int = 7, num_tokens: int = 11, **options) -> Chain:
    space = make_space(
        {"family": "transformer", **options}, input_shape=(context,), num_classes=num_tokens, num_tokens=num_tokens
    )
    torch.manual_seed(0)
    return space.build(answer(space, {}, partial=True))


def test_causal_attention_is_torchs_masked_attention():
    attention = SelfAttention(12, 2, causal=True)
    attention.project_in, attention.project_out = WidenThrice(), nn.Identity()
    h_BTD = torch.randn(3, 7, 12)
    q_BNTd, k_BNTd, v_BNTd = (
        part_BTD.unflatten(-1, (2, 6)).transpose(1, 2) for part_BTD in WidenThrice()(h_BTD).chunk(3, dim=-1)
    )
    expected_BNTd = functional.scaled_dot_product_attention(q_BNTd, k_BNTd, v_BNTd, is_causal=True)
    torch.testing.assert_close(attention(h_BTD), expected_BNTd.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("op", ["encoder", "attention", "feed_forward"])
def test_a_language_model_sees_the_past_and_never_the_future(op):
    network = language_model(depth=3, width=8, ops=[op]).eval()
    x_BT = torch.randint(11, (4, 7))
    for position in range(7):
        changed_BT = x_BT.clone()
        changed_BT[:, position:] = (x_BT[:, position:] + 1 + torch.arange(7 - position)) % 11
        states = zip(network.hidden_states(x_BT), network.hidden_states(changed_BT), strict=True)
        for h_BTD, changed_BTD in [*states, (network(x_BT), network(changed_BT))]:
            assert torch.equal(h_BTD[:, :position], changed_BTD[:, :position])
            assert not torch.equal(h_BTD[:, position], changed_BTD[:, position])


def test_the_last_answer_depends_on_the_first_token_through_attention_only():
    x_BT = torch.randint(11, (4, 7))
    changed_BT = x_BT.clone()
    changed_BT[:, 0] = (x_BT[:, 0] + 1) % 11
    for op, sees in [("encoder", True), ("attention", True), ("feed_forward", False)]:
        network = language_model(depth=1, width=8, ops=[op])
        assert torch.equal(network(x_BT)[:, -1], network(changed_BT)[:, -1]) is not sees, op


def test_all_levels_of_a_language_model_have_one_shape():
    states = language_model(depth=3, width=8).hidden_states(torch.randint(11, (4, 7)))
    assert [tuple(h_BTD.shape) for h_BTD in states] == [(4, 7, 8)] * 4


def test_an_embedded_token_is_its_vector_plus_its_position():
    stem = EmbeddedTokens(11, 3, 8)
    h_BTD = stem(torch.tensor([[5, 0, 5]]))
    torch.testing.assert_close(h_BTD[0, 2], stem.token_VD[5] + stem.position_TD[2])
    torch.testing.assert_close(h_BTD[0, 2] - h_BTD[0, 0], stem.position_TD[2] - stem.position_TD[0])


def test_flops_of_a_language_model_are_those_of_its_products():
    tokens, width, inner = 7, 16, 2 * 16
    network = language_model(depth=1, width=width)
    attention = 2 * tokens * width * (3 * width + width) + 2 * 2 * tokens * tokens * width
    assert level_flops(network, (7,)) == (0, attention + 2 * 2 * tokens * width * inner, 2 * tokens * width * 11)


def test_a_language_model_of_many_levels_trains():
    """Every character of a cycle tells the next: sixteen levels have to let that through."""
    network = language_model(depth=16, width=32)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003)
    start_B = torch.arange(11)
    text_BT = (start_B[:, None] + 3 * torch.arange(8)) % 11
    for _ in range(60):
        loss = functional.cross_entropy(network(text_BT[:, :-1]).flatten(0, 1), text_BT[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
