"""How a run starts: seeds, initialisations."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.conftest import Configure
from triplicate.parts import names
from triplicate.training.seeding import generator, global_seed


def draws(seed: int, purpose: str) -> list[float]:
    return torch.rand(4, generator=generator(seed, purpose)).tolist()


def test_streams_repeat_and_differ_by_seed_and_purpose() -> None:
    assert draws(0, "order") == draws(0, "order")
    streams = [draws(seed, purpose) for seed in (0, 1) for purpose in ("order", "split")]
    assert len({tuple(s) for s in streams}) == 4


def test_the_global_generator_is_left_as_it_was() -> None:
    before = torch.random.get_rng_state()
    with global_seed(3):
        inside = torch.rand(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(3)
    assert torch.equal(inside, torch.rand(3))
    torch.random.set_rng_state(before)


@pytest.mark.parametrize("name", names("init"))
def test_initialisations_are_torchs_own(configure: Configure, name: str) -> None:
    oracle = {
        "xavier": nn.init.xavier_uniform_,
        "xavier_normal": nn.init.xavier_normal_,
        "he": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
        "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "glorot": lambda w: nn.init.normal_(w, std=w[0].numel() ** -0.5),
        "random": lambda w: nn.init.normal_(w, std=0.05),
    }

    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1, bias=False), nn.Linear(4, 3))

    with global_seed(1):
        ours = build()
        configure(f"init={name}").init.initialize(ours)
    with global_seed(1):
        expected = build()
        for layer in (m for m in expected.modules() if isinstance(m, nn.Linear | nn.Conv2d) and name != "default"):
            oracle[name](layer.weight)
            if layer.bias is not None:
                layer.bias.data.zero_()
    for mine, theirs in zip(ours.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=0)
