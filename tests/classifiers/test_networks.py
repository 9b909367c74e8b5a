"""Each network against its definition: counts by hand, and an independent computation of what it says."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from gan_cli.classifiers import resnet
from gan_cli.classifiers.airbench import AirBench
from gan_cli.config.build import build
from gan_cli.config.options import option
from gan_cli.datasets.images import Mnist5k
from gan_cli.errors import ConfigError
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.metrics.extractors.classifier import Classifier as Shipped
from tests.classifiers.test_base import classifier


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def multiplications(network: nn.Module, *sample_shape: int) -> int:
    """Those of one picture in convolutions and matrix products: half of torch's count, which has the sums too."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *sample_shape))
    return counter.get_total_flops() // 2


def test_softmax_is_one_matrix_and_one_bias():
    torch.manual_seed(0)
    network, images = classifier("softmax"), torch.randn(3, 1, 28, 28)
    assert parameters(network) == 7850
    weight, bias = network.head.parameters()
    expected = torch.einsum("cp,np->nc", weight, images.reshape(3, -1)) + bias
    torch.testing.assert_close(network(images), expected, rtol=1e-5, atol=1e-5)


def test_the_softmax_of_logistic_is_the_sigmoid_of_one_score():
    torch.manual_seed(0)
    network = classifier("logistic", class_count=2).double()
    images = 10 * torch.randn(50, 1, 28, 28, dtype=torch.float64)
    weight, bias = network.parameters()
    assert weight.shape == (1, 784)
    assert parameters(network) == 785
    score = images.flatten(1) @ weight[0] + bias
    expected = torch.stack([torch.sigmoid(-score), torch.sigmoid(score)], 1)
    torch.testing.assert_close(network(images).softmax(1), expected, rtol=1e-12, atol=0)
    # And so its cross entropy is ζ(−yz) with y = ±1, as in Goodfellow 2015, section 5.
    signs = torch.where(torch.arange(50) % 2 == 1, 1.0, -1.0)
    losses = functional.cross_entropy(network(images), torch.arange(50) % 2, reduction="none")
    torch.testing.assert_close(losses, functional.softplus(-signs * score), rtol=1e-9, atol=1e-12)


def test_logistic_refuses_ten_classes_in_one_line_with_a_remedy():
    with pytest.raises(ConfigError) as refusal:
        classifier("logistic")
    assert str(refusal.value) == (
        "classifier: takes two classes, and the data have 10: choose two, such as dataset.classes=[3,7], or"
        " classifier=softmax"
    )


def test_maxout_has_the_weights_of_the_paper():
    network = classifier("maxout")
    assert parameters(network) == (784 + 1) * 5 * 240 + (240 + 1) * 5 * 240 + (240 + 1) * 10 == 1_233_610
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.5]
    deeper = classifier("maxout:depth=3:units=7:pieces=2")
    assert parameters(deeper) == 785 * 14 + 8 * 14 + 8 * 14 + 8 * 10


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    network = classifier("maxout:units=2:pieces=3:depth=1", (1, 1, 2), 2).eval()
    (layer,) = (module for module in network.layers if isinstance(module, nn.Linear))
    with torch.no_grad():
        # Rows are the pieces of both units: (unit 0, piece 0), (unit 1, piece 0), (unit 0, piece 1) and so on.
        layer.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1], [0, 0], [1, 1]]))
        layer.bias.copy_(torch.tensor([0, 0, 0, 0, 0.75, -1]))
    # Of brightness (1, 1/4) the units are max(1, −1, 0.75) and max(1/4, −1/4, 5/4 − 1).
    pixels = torch.tensor([1.0, -0.5]).view(1, 1, 1, 2)
    torch.testing.assert_close(network.features(pixels), torch.tensor([[1.0, 0.25]]), rtol=0, atol=1e-7)
    # Of black they are max(0, 0, 0.75) and max(0, 0, −1).
    black = torch.full((1, 1, 1, 2), -1.0)
    torch.testing.assert_close(network.features(black), torch.tensor([[0.75, 0]]), rtol=0, atol=1e-7)


def test_dropout_leaves_units_out_in_training_only():
    torch.manual_seed(0)
    network, images = classifier("maxout"), torch.rand(400, 1, 28, 28) * 2 - 1
    dropped = (network.train().features(images) == 0).double().mean().item()
    assert dropped == pytest.approx(0.5, abs=4 * 0.5 / (400 * 240) ** 0.5)
    assert not (network.eval().features(images) == 0).any()
    (before,) = (module for module in network.modules() if isinstance(module, nn.Dropout) and module.p == 0.2)
    pixels = before.train()(torch.ones(400, 1, 28, 28))
    torch.testing.assert_close(pixels.unique(), torch.tensor([0, 1.25]))
    assert (pixels == 0).double().mean().item() == pytest.approx(0.2, abs=4 * 0.4 / (400 * 784) ** 0.5)


def test_small_cnn_needs_less_than_two_million_multiplications():
    full, half, quarter = 9 * 28 * 28, 9 * 14 * 14, 9 * 7 * 7
    by_hand = full * (8 + 8 * 8) + half * (8 * 16 + 16 * 16) + quarter * (16 * 32 + 32 * 32) + 32 * 10
    assert multiplications(classifier("small_cnn"), 1, 28, 28) == by_hand == 1_863_104
    weights = 9 * (8 + 8 * 8 + 8 * 16 + 16 * 16 + 16 * 32 + 32 * 32) + 2 * 2 * (8 + 16 + 32) + 33 * 10
    assert parameters(classifier("small_cnn")) == weights == 18_482


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_small_cnn_is_the_network_of_the_shipped_extractors(name):
    """The same weights by the same names, and the same features, from the layers written out."""
    extractor: Shipped = build(option("metric/extractor", name), Extractor, "metric.extractor")
    shipped = extractor._network
    mine = classifier("small_cnn:width=32:dropout=0.3").eval()
    mine.load_state_dict(shipped.state_dict())
    images, *_ = Mnist5k(28).images.split(20)
    x = images.float() / 127.5 - 1
    torch.testing.assert_close(mine.features(x), extractor(images).vectors, rtol=1e-5, atol=1e-5)
    weights = {key: tensor.double() for key, tensor in shipped.state_dict().items()}
    y = x.double()
    for index in range(6):
        y = functional.max_pool2d(y, 2) if index in (2, 4) else y
        y = functional.conv2d(y, weights[f"layers.{index}.0.weight"], padding=1)
        norm = f"layers.{index}.1"
        mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        y = functional.batch_norm(y, mean, variance, weights[f"{norm}.weight"], weights[f"{norm}.bias"]).clamp_min(0)
    expected = y.mean((2, 3)) @ weights["head.weight"].T + weights["head.bias"]
    torch.testing.assert_close(mine(x).double(), expected, rtol=1e-4, atol=1e-4)


def test_madry_is_the_network_of_the_authors_code():
    network = classifier("madry")
    assert parameters(network) == 25 * 32 + 32 + 25 * 32 * 64 + 64 + 7 * 7 * 64 * 1024 + 1024 + 1024 * 10 + 10
    assert parameters(network) == 3_274_634
    by_hand = 28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 49 * 64 * 1024 + 1024 * 10
    assert multiplications(network, 1, 28, 28) == by_hand == 13_883_904
    torch.manual_seed(0)
    x = torch.rand(3, 1, 28, 28)  # the authors' pictures are in [0, 1]
    first, second, dense = (module for module in network.layers if isinstance(module, nn.Conv2d | nn.Linear))
    y = functional.conv2d(functional.pad(x, (2, 2, 2, 2)), first.weight, first.bias).clamp_min(0)
    y = y.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))
    y = functional.conv2d(functional.pad(y, (2, 2, 2, 2)), second.weight, second.bias).clamp_min(0)
    y = y.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))
    y = functional.linear(y.flatten(1), dense.weight, dense.bias).clamp_min(0)
    torch.testing.assert_close(network.features(2 * x - 1), y, rtol=1e-4, atol=1e-5)


def test_resnet_has_the_layers_and_weights_of_the_paper():
    network = classifier("resnet", (3, 32, 32))
    stages = [(16, 16), (16, 32), (32, 64)]
    convolutions = 27 * 16
    norms = 2 * 64
    for inputs, outputs in stages:
        convolutions += 9 * (inputs * outputs + 5 * outputs**2) + (inputs * outputs if inputs != outputs else 0)
        norms += 2 * (inputs + 5 * outputs)
    assert parameters(network) == convolutions + norms + 65 * 10 == 272_282
    assert sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in network.modules()) == 1 + 18
    assert classifier("resnet:blocks=1:stages=2:width=4").features(torch.zeros(2, 1, 28, 28)).shape == (2, 8)


def test_resnet_halves_the_side_at_each_stage_but_the_first():
    network = classifier("resnet:blocks=2", (1, 64, 64))
    sides = []
    for module in network.modules():
        if isinstance(module, resnet._Block):
            module.register_forward_hook(lambda _module, _x, y: sides.append(tuple(y.shape[1:])))
    network(torch.zeros(2, 1, 64, 64))
    assert sides == [(16, 64, 64)] * 2 + [(32, 32, 32)] * 2 + [(64, 16, 16)] * 2


def test_a_residual_block_adds_to_its_input_what_follows_normalisation_and_activation():
    torch.manual_seed(0)
    same, halved = resnet._Block(4, 4, 1).eval(), resnet._Block(4, 8, 2).eval()
    x = torch.randn(2, 4, 8, 8)
    before = x.clamp_min(0) / (1 + 1e-5) ** 0.5  # batch normalisation as it begins
    for block, stride in ((same, 1), (halved, 2)):
        first, second = (module for module in block.residual if isinstance(module, nn.Conv2d))
        y = functional.conv2d(before, first.weight, stride=stride, padding=1).clamp_min(0) / (1 + 1e-5) ** 0.5
        y = functional.conv2d(y, second.weight, padding=1)
        y += x if stride == 1 else functional.conv2d(before, halved.shortcut.weight, stride=2)
        torch.testing.assert_close(block(x), y, rtol=1e-4, atol=1e-5)


def test_resnet_starts_with_hes_weights():
    torch.manual_seed(0)
    for layer in classifier("resnet", (3, 32, 32)).modules():
        if isinstance(layer, nn.Conv2d):
            n = layer.weight.numel()
            deviation = (2 / (layer.out_channels * layer.kernel_size[0] ** 2)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(deviation, rel=4 / (2 * n) ** 0.5)


def test_airbench_needs_51_million_multiplications_for_a_picture_of_cifar():
    whole, half, quarter, eighth = (9 * side**2 for side in (32, 16, 8, 4))
    by_hand = whole * (3 * 24 + 24 * 40) + half * (40 * 40 + 40 * 144) + quarter * (144 * 144 + 144 * 128)
    by_hand += eighth * 128 * 128 + 128 * 10
    network = built(AirBench, (3, 32, 32))
    assert multiplications(network, 3, 32, 32) == by_hand == 51_389_696
    weights = 9 * (3 * 24 + 24 * 40 + 40 * 40 + 40 * 144 + 144 * 144 + 144 * 128 + 128 * 128) + 129 * 10
    assert parameters(network) == weights + 2 * (24 + 2 * (40 + 144 + 128)) == 578_082


def built(kind: type[AirBench], sample_shape: tuple[int, ...]) -> AirBench:
    node = option("classifier", "airbench")
    network: AirBench = build(node, kind, "classifier", sample_shape=sample_shape, class_count=10)
    return network


def test_wide_layers_of_airbench_begin_by_passing_on_their_inputs():
    """Untrained, a block of no normalisation is the maximum over squares of two; and so is all of the network."""
    network = built(AirBench, (3, 32, 32)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    x = torch.rand(2, 3, 32, 32)
    first = network.layers[:3](x)
    expected = functional.max_pool2d(first, 32).flatten(1)
    torch.testing.assert_close(network.features(x)[:, :24], expected)
    assert network.features(x).shape == (2, 128)


def test_airbench_refuses_what_its_blocks_would_leave_nothing_of():
    assert built(AirBench, (1, 16, 16)).features(torch.zeros(1, 1, 16, 16)).shape == (1, 128)
    with pytest.raises(ConfigError, match=r"classifier: takes sides of at least 16, not 12: choose dataset.resolution"):
        built(AirBench, (1, 12, 12))
    with pytest.raises(ConfigError, match=r"classifier.widths=\[\] is empty: name the channels"):
        node = option("classifier", "airbench:widths=[]")
        build(node, AirBench, "classifier", sample_shape=(1, 32, 32), class_count=10)


def test_airbench_is_the_network_of_the_shipped_extractor_of_photographs():
    extractor: Shipped = build(option("metric/extractor", "cifar10"), Extractor, "metric.extractor")
    mine = built(AirBench, (3, 32, 32)).eval()
    mine.load_state_dict(extractor._network.state_dict())
    images = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = extractor(images)
    x = images.float() / 127.5 - 1
    torch.testing.assert_close(mine.features(x), features.vectors, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mine(x).log_softmax(1), features.log_probabilities, rtol=1e-4, atol=1e-4)
