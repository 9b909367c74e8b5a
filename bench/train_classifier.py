"""Train the classifier whose features the metrics compare, and print its accuracy and the SHA-256 of its weights.

    python bench/train_classifier.py mnist
    python bench/train_classifier.py fashion_mnist

Writes gan_cli/metrics/extractors/weights/<data>.safetensors. One thread and one seed, so that the same machine and
the same torch make the same file; another machine makes one of the same accuracy but another digest, which is why the
file is kept and pinned in configs/metric/extractor/.
"""

import argparse
import hashlib
import math
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample
from tqdm import tqdm

from gan_cli.classifiers.small_cnn import SmallCNN
from gan_cli.datasets.base import Images, to_unit_range
from gan_cli.datasets.images import FashionMnist, Mnist

WEIGHTS = Path(__file__).parents[1] / "gan_cli" / "metrics" / "extractors" / "weights"
BATCH_SIZE = 128


def distorted(images: Tensor, mirror: bool) -> Tensor:
    """Each picture turned by up to 10°, scaled by up to 10 %, shifted by up to two pixels, and mirrored or not."""
    n = len(images)
    angle = (torch.rand(n) * 2 - 1) * math.radians(10)
    scale = 1 + (torch.rand(n) * 2 - 1) * 0.1
    flip = torch.randint(2, (n,)) * 2.0 - 1 if mirror else torch.ones(n)
    shift = (torch.rand(n, 2) * 2 - 1) * 2 / 14
    rows = torch.stack(
        [
            torch.stack([scale * angle.cos() * flip, -scale * angle.sin(), shift[:, 0]], 1),
            torch.stack([scale * angle.sin() * flip, scale * angle.cos(), shift[:, 1]], 1),
        ],
        1,
    )
    grid = affine_grid(rows, list(images.shape), align_corners=False)
    # Zero is what lies outside of the picture, so that its border must be zero too.
    return grid_sample(images + 1, grid, align_corners=False) - 1


@torch.no_grad()
def accuracy(network: SmallCNN, data: Images) -> float:
    """The share of pictures whose most probable class is the right one."""
    assert data.labels is not None
    network.eval()
    found = torch.cat([network(to_unit_range(part)).argmax(1) for part in data.images.split(1000)])
    return (found == data.labels).double().mean().item()


def train(network: SmallCNN, data: Images, epochs: int, mirror: bool) -> None:
    """AdamW under one cycle of the learning rate."""
    assert data.labels is not None
    steps = epochs * (len(data) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    network.train()
    progress = tqdm(total=steps, unit="step", mininterval=5)
    for _ in range(epochs):
        for batch in torch.randperm(len(data)).split(BATCH_SIZE)[: len(data) // BATCH_SIZE]:
            x = distorted(to_unit_range(data.images[batch]), mirror).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                loss = cross_entropy(network(x), data.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.update()
    progress.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["mnist", "fashion_mnist"])
    parser.add_argument("--epochs", type=int, help="(default: 10 for mnist, 20 for fashion_mnist)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", default=os.environ.get("GAN_CLI_DATA", "~/.cache/gan-cli"))
    parser.add_argument("--out", type=Path, help="(default: where the program looks for it)")
    arguments = parser.parse_args()

    is_digits = arguments.data == "mnist"
    make = Mnist if is_digits else FashionMnist
    epochs = arguments.epochs or (10 if is_digits else 20)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)
    network = SmallCNN((1, 28, 28), 10, width=32, dropout=0.3).to(memory_format=torch.channels_last)
    train(network, make(arguments.root, "train", 28), epochs, mirror=not is_digits)  # a mirrored digit is no digit

    path = arguments.out or WEIGHTS / f"{arguments.data}.safetensors"
    path.parent.mkdir(exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items() if "batches" not in name}
    save_file(weights, path)
    print(f"accuracy {accuracy(network, make(arguments.root, 'test', 28)):.2%} on the test set")
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")


if __name__ == "__main__":
    main()
