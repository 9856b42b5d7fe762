"""Held-out loss is over body ids, as the unigram is; what a text can't tell (where a drawn span ends) costs nothing."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from maskdial.evaluate.held_out import summed, token
from maskdial.evaluate.items import Items


class Said(nn.Module):
    """Logits that are given."""

    def logits(self, x_ND):
        return x_ND


@pytest.fixture
def items():
    made = Items.__new__(Items)
    made.__dict__.update(unigram=np.log(np.array([0.1, 0.2, 0.3, 0.4])), commonest=3)
    return made


def test_loss_is_over_body_ids(items):
    body, target = np.array([False, True, True, True]), torch.tensor([1, 0, 3])
    logits = torch.log(torch.tensor([[0.6, 0.1, 0.1, 0.2], [0.7, 0.1, 0.1, 0.1], [0.5, 0.1, 0.1, 0.3]]))
    found = summed("token", token(Said(), logits, target, torch.tensor([1.0, 1.0, 3.0]), items, body).numpy())
    assert found["scored"] == 2, "the special token is not asked"
    assert found["loss"] == pytest.approx((math.log(4) + 3 * math.log(5 / 3)) / 4)
    assert found["loss_of_all"] == pytest.approx((math.log(10) + 3 * math.log(10 / 3)) / 4)
    assert found["unigram"] == pytest.approx(-(math.log(0.2) + 3 * math.log(0.4)) / 4)
    assert (found["top1"], found["unigram_top1"]) == (0.5, 0.5)
