"""Extractors: pinned weights, one answer whatever the batch, and clear words where the weights cannot be had."""

import re
from pathlib import Path
from pydoc import locate

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from gan_cli.config import parts
from gan_cli.config.build import build
from gan_cli.config.options import CONFIGS, names, option
from gan_cli.datasets.base import Dataset, Images
from gan_cli.datasets.images import FashionMnist, Mnist, Mnist5k
from gan_cli.datasets.stacked import StackedMnist
from gan_cli.errors import ConfigError
from gan_cli.files import file_digest
from gan_cli.metrics.extractors import classifier
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.metrics.extractors.classifier import Classifier
from gan_cli.metrics.extractors.inception import Inception
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.frechet import FrechetDistance
from gan_cli.metrics.neighbours import Neighbours
from gan_cli.runs.classifiers import open_classifier
from tests.helpers.commands import Command
from tests.helpers.configs import compose
from tests.helpers.subjects import Stacked, random_images

SHIPPED = ("mnist", "fashion_mnist")


def shipped(name: str) -> Classifier:
    extractor: Classifier = build(option("metric/extractor", name), Extractor, "metric.extractor")
    return extractor


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = Mnist5k(28)
    assert data.labels is not None
    return data.images[::25], data.labels[::25]


@pytest.mark.parametrize("name", [*SHIPPED, "cifar10"])
def test_the_shipped_weights_are_small_and_those_that_are_pinned(name: str) -> None:
    extractor = shipped(name)
    assert extractor.path.stat().st_size <= 2_000_000
    assert file_digest(extractor.path) == extractor.digest() == option("metric/extractor", name).sha256


def test_digits_are_recognised(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    features = shipped("mnist")(images)
    assert features.vectors.shape == (200, 128)
    assert features.log_probabilities is not None
    torch.testing.assert_close(features.log_probabilities.exp().sum(1), torch.ones(200))
    assert (features.log_probabilities.argmax(1) == labels).double().mean() >= 0.99


@pytest.mark.parametrize("name", SHIPPED)
def test_the_features_of_an_image_do_not_depend_on_its_batch(name: str, digits: tuple[Tensor, Tensor]) -> None:
    extractor, images = shipped(name), digits[0][:30]
    whole = extractor(images)
    single = torch.cat([extractor(part).vectors for part in images.split(7)])
    torch.testing.assert_close(single, whole.vectors, rtol=1e-4, atol=1e-5)


def test_stacked_digits_are_judged_channel_by_channel(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    thirds = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:120].reshape(40, 3)
    features = shipped("mnist")(images[thirds, 0])
    assert features.vectors.shape == (40, 3 * 128)
    assert features.log_probabilities is not None
    assert features.log_probabilities.shape == (40, 1000)
    expected = labels[thirds] @ torch.tensor([100, 10, 1])
    assert (features.log_probabilities.argmax(1) == expected).double().mean() >= 0.95
    torch.testing.assert_close(features.log_probabilities.exp().sum(1), torch.ones(40))


def test_other_sizes_are_scaled(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    larger = torch.nn.functional.interpolate(images.float(), scale_factor=2).to(torch.uint8)
    found = shipped("mnist")(larger).log_probabilities
    assert found is not None
    assert (found.argmax(1) == labels).double().mean() >= 0.97


def test_damaged_and_missing_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    good = shipped("mnist").path.read_bytes()
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path)
    with pytest.raises(ConfigError, match=r"mnist.safetensors cannot be read .*: reinstall gan-cli"):
        shipped("mnist")(image)
    (tmp_path / "mnist.safetensors").write_bytes(good[:-4] + b"\1\2\3\4")
    with pytest.raises(ConfigError, match=r"mnist.safetensors is not the file of metric.extractor.sha256"):
        shipped("mnist")(image)


def test_raw_features_are_the_samples_themselves() -> None:
    points = torch.randn(5, 2)
    assert torch.equal(Raw()(points).vectors, points)
    images = torch.full((2, 1, 4, 4), 255, dtype=torch.uint8)
    assert torch.equal(Raw()(images).vectors, torch.ones(2, 16))


@pytest.mark.parametrize("name", names("metric/extractor"))
def test_every_extractor_says_truly_whether_it_classifies(name: str) -> None:
    kind = locate(OmegaConf.load(CONFIGS / f"metric/extractor/{name}.yaml")._target_)
    assert isinstance(kind, type)
    assert issubclass(kind, Extractor)
    assert isinstance(kind.classifies, bool)


# What they were made for


def measurable(data: Dataset, extractor: str) -> bool:
    """Whether the Fréchet distance by an extractor can be had of data."""
    node = OmegaConf.create({"_target_": f"{FrechetDistance.__module__}.FrechetDistance", "samples": 9})
    try:
        parts.metric(node, "metric.frechet", data, shipped(extractor), has_labels=False)
    except ConfigError as error:
        message = (
            rf"metric.extractor.weights={extractor} were made for (digits|clothes) in grey, and these images have 3"
            r" channels: choose metric/extractor=cifar10, classifier, inception or raw"
        )
        assert error.exit_code == 2
        assert re.fullmatch(message, str(error))
        return False
    return True


@pytest.mark.parametrize("name", SHIPPED)
def test_colour_images_are_not_for_features_of_grey_ones(name: str) -> None:
    assert not measurable(Images(random_images(99, 0, channels=3)), name)
    assert measurable(Images(random_images(99, 0, channels=1)), name)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_channels_of_a_stack_are_pictures_of_their_own(name: str) -> None:
    class Three(Stacked):
        def __init__(self) -> None:
            self.sample_shape = (3, 28, 28)

    assert measurable(Three(), name)
    assert StackedMnist.is_stacked
    assert not Images.is_stacked


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "extractor", "doubt"),
    [
        (Mnist, "mnist", None),
        (Mnist5k, "mnist", None),
        (StackedMnist, "mnist", None),
        (FashionMnist, "fashion_mnist", None),
        (FashionMnist, "mnist", "was made for digits, and the data show clothes"),
        (Mnist, "fashion_mnist", "was made for clothes, and the data show digits"),
        (Images, "mnist", "was made for digits, and the data do not say what they show"),
        (Images, "inception", None),
        (FashionMnist, "raw", None),
    ],
)
def test_it_is_told_that_an_extractor_was_made_for_other_data(
    kind: type[Dataset], extractor: str, doubt: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    data, features = kind.__new__(kind), parts.extractor(compose(f"metric/extractor={extractor}"), open_classifier)
    parts.warn_of_other_data(features, data, [Neighbours(samples=9, quantile=0.5)])
    assert caplog.records == []
    parts.warn_of_other_data(features, data, [FrechetDistance(samples=9)])
    told = [record.getMessage() for record in caplog.records]
    assert told == ([] if doubt is None else [f"metric.extractor {doubt}: its features may miss what matters"])


@pytest.mark.thorough
def test_a_folder_of_digits_is_measured_by_their_features_and_colours_are_refused_before_training(
    tmp_path: Path, inside: Command, monkeypatch: pytest.MonkeyPatch, digits: tuple[Tensor, Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path / "data"))
    Path("digits").mkdir()
    for index, image in enumerate(digits[0][::10, 0]):
        Image.fromarray(image.numpy()).save(f"digits/{index}.png")
    run = ["dataset=folder", "dataset.path=digits", "dataset.resolution=28", "metric/extractor=mnist", "train.steps=1"]
    run += [
        "train.batch_size=8",
        "metric=[frechet]",
        "model.generator.width=4",
        "model.critic.width=4",
    ]
    refused = inside("gan-train", *run)
    assert (refused.code, Path("outputs").exists()) == (2, False)
    assert refused.err.startswith("gan-train: metric.extractor.weights=mnist were made for digits in grey, and these ")
    assert refused.err.count("\n") == 1
    finished = inside("gan-train", *run, "dataset.channels=1")
    assert finished.code == 0
    assert "metric.extractor was made for digits, and the data do not say what they show" in finished.err
    assert "frechet_distance" in finished.err + finished.out


# Inception, through torch-fidelity


def test_inception_without_its_weights_says_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_fidelity")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(
        ConfigError, match=r"could not be downloaded \(no network\): get http.*metric.extractor.weights=PATH"
    ):
        Inception(None)(images)
    with pytest.raises(ValueError, match=r"weights=/nowhere is not a file: name that of torch-fidelity's Inception"):
        Inception("/nowhere")
    other = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, other)
    with pytest.raises(ConfigError, match=r"other.pth are not the weights of torch-fidelity's Inception"):
        Inception(str(other))(images)


def test_no_code_in_a_file_of_weights_is_run(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path, "sprung"),)  # type: ignore[return-value]

    torch.save(Trap(), tmp_path / "trap.pth")
    with pytest.raises(ConfigError, match=r"trap.pth are not the weights"):
        Inception(str(tmp_path / "trap.pth"))(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert not (tmp_path / "sprung").exists()


def test_inception_gives_features_and_classes_of_grey_and_colour_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    network = library.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:  # its constructor wants the weights that are not here
        patch.setattr(library, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(network, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        untrained = network("inception", ["2048"])
    path = tmp_path / "weights.pth"
    torch.save(untrained.state_dict(), path)
    extractor = Inception(str(path))
    assert extractor.digest() == file_digest(path)
    grey = torch.randint(256, (2, 1, 32, 32), dtype=torch.uint8)
    features = extractor(grey)
    assert features.vectors.shape == (2, 2048)
    assert features.log_probabilities is not None
    assert features.log_probabilities.shape == (2, 1008)
    torch.testing.assert_close(extractor(grey.expand(-1, 3, -1, -1)).vectors, features.vectors)


def test_inceptions_weights_are_downloaded_once_to_where_torch_keeps_such_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And their name says how their digest begins."""
    library = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    asked = []

    def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        asked.append((url, path, hash_prefix, progress))
        Path(path).write_bytes(b"weights")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    url = library.URL_INCEPTION_V3
    path = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    for _ in range(2):
        assert Inception(None).digest() == file_digest(path)
    assert asked == [(url, str(path), path.stem.rpartition("-")[2], False)]
