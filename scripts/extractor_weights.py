"""The weights of a classifier that gan-classify trained, as the program ships them: the command and the digest.

python scripts/extractor_weights.py outputs/classifiers/experiment=cifar10_classifier cifar10
"""

import sys
from pathlib import Path

from safetensors.torch import save_file

from gan_cli.files import file_digest
from gan_cli.metrics.extractors.classifier import WEIGHTS
from gan_cli.runs.classifiers import open_classifier


def main(run: str, name: str) -> None:
    """Write the network of a run to the package, and print what the extractor's yaml pins."""
    network = open_classifier(run).network
    # What layers multiply by is stored in half precision, for half of the bytes; statistics of norms need their range.
    weights = {
        key: (value.half() if value.dim() > 1 else value).contiguous()
        for key, value in network.state_dict().items()
        if "num_batches" not in key
    }
    path = WEIGHTS / f"{name}.safetensors"
    save_file(weights, path)
    size = path.stat().st_size
    print(f"{Path(path).name}: {size:,} bytes\nsha256: {file_digest(path)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
