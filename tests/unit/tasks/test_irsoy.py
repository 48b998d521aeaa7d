"""The ten networks of Irsoy and Cardie (2014, table 2): the paper's budgets, counted."""

import pytest
import yaml

from pipeline.encoders import Elman
from pipeline.inputs import Words
from pipeline.text.lexicon import Lexicon
from tasks.tagging import Tagger
from tests.harness import REPOSITORY

FOLDER = REPOSITORY / "configs/overlays/irsoy"
# The authors' code counts 2(300h + hh + h) for the first layer, 2(3hh + h) for each other one and
# 6h + 3 for the softmax; the numbers are that formula by hand.
BUDGETS = {
    "24k": [(36, 24_483), (29, 24_421), (25, 24_053), (22, 23_191), (21, 24_405)],
    "200k": [(200, 201_603), (125, 201_253), (100, 201_203), (86, 200_727), (77, 201_589)],
}
CASES = [
    (budget, layers, hidden, count)
    for budget, networks in BUDGETS.items()
    for layers, (hidden, count) in enumerate(networks, start=1)
]


def learned(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize(("budget", "layers", "hidden", "count"), CASES)
def test_parameters(budget, layers, hidden, count):
    base = yaml.safe_load((REPOSITORY / "configs/tagging/mpqa-dse.yaml").read_text())
    overlay = yaml.safe_load((FOLDER / f"{budget}-{layers}.yaml").read_text())
    encoder = base["model"]["init_args"]["encoder"]["init_args"]
    encoder.update(overlay["model"]["init_args"]["encoder"]["init_args"])
    assert (encoder["hidden_size"], encoder["num_layers"]) == (hidden, layers)
    model = Tagger(
        Elman(**encoder), Lexicon({"a": 1}, {}), ("O", "B-DSE", "I-DSE"), inputs=[Words(size=300)]
    )
    # torch's layers have a second bias, which adds to the first and changes nothing
    second_biases = 2 * hidden * layers
    assert learned(model.encoder) + learned(model.decoder) - second_biases == count
    assert abs(count - int(budget[:-1]) * 1000) <= 0.04 * count
