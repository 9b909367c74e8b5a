"""Are the digits of a run readable? Judged by a classifier that is trained on MNIST and never saw the generator.

    python bench/digits.py outputs/default

Prints the classifier's accuracy on MNIST's test set, the share of samples that it is sure of (confidence of at
least 0.9), and the share of each digit among the samples. The first call trains the classifier for some minutes.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan_cli.datasets.base import to_unit_range
from gan_cli.datasets.images import Mnist
from gan_cli.sample import load_run
from gan_cli.sampling import generate, latents


def classifier() -> nn.Module:
    """A small convolutional network for 28 × 28 digits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def trained(root: str, epochs: int) -> nn.Module:
    """The classifier, trained with seed 0 or read from the cache."""
    torch.manual_seed(0)
    network = classifier()
    cache = Path(root).expanduser() / f"digit-judge-{epochs}.pt"
    if cache.exists():
        network.load_state_dict(torch.load(cache, weights_only=True))
        return network.eval()
    data = Mnist(root=root, split="train", resolution=28)
    steps = epochs * len(data) // 128
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(steps):
        batch = torch.randint(len(data), (128,))
        loss = cross_entropy(network(to_unit_range(data.images[batch])), data.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.save(network.state_dict(), cache)
    return network.eval()


@torch.no_grad()
def probabilities(network: nn.Module, images: Tensor) -> Tensor:
    """Class probabilities of images in [−1, 1], shape `(n, 10)`."""
    return torch.cat([network(part).softmax(1) for part in images.split(1000)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", choices=["average", "raw"], default="average")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--root", default="~/.cache/gan-cli")
    arguments = parser.parse_args()

    network = trained(arguments.root, arguments.epochs)
    test = Mnist(root=arguments.root, split="test", resolution=28)
    hits = probabilities(network, to_unit_range(test.images)).argmax(1) == test.labels
    print(f"classifier: {hits.double().mean():.2%} of MNIST's test set")

    generator = load_run(arguments.run, weights=arguments.weights).generator
    samples = generate(generator, latents(generator, arguments.n, arguments.seed))
    confidence, digit = probabilities(network, samples).max(1)
    print(f"sure of {(confidence >= 0.9).double().mean():.1%} of {arguments.n} samples of {arguments.run}")
    shares = torch.bincount(digit, minlength=10) / arguments.n
    print("share of each digit: " + "  ".join(f"{d}: {share:.1%}" for d, share in enumerate(shares)))


if __name__ == "__main__":
    main()
