"""The network for MNIST that Madry 2018 (arXiv 1706.06083, §5) trains adversarially, as in the authors' code."""

from torch import Tensor, nn

from gan_cli.classifiers.base import Classifier, brightness, check_images
from gan_cli.models.layers import ReLU
from gan_cli.ranges import Count


class Madry(Classifier):
    """Two 5 × 5 convolutions, of `width` and 2 · `width` channels, each pooled by 2, then `hidden` units."""

    def __init__(self, sample_shape: tuple[int, ...], class_count: int, width: Count, hidden: Count) -> None:
        super().__init__(class_count)
        check_images(sample_shape, least=4)
        channels, height, breadth = sample_shape
        # Pooled first: the largest of rectified numbers is the largest one rectified, for a quarter of the work.
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, width, 5, padding=2), nn.MaxPool2d(2), ReLU()),
            *(nn.Conv2d(width, 2 * width, 5, padding=2), nn.MaxPool2d(2), ReLU()),
            *(nn.Flatten(), nn.Linear(2 * width * (height // 4) * (breadth // 4), hidden), ReLU()),
        )
        self.head = nn.Linear(hidden, class_count)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(brightness(images))
        return features
