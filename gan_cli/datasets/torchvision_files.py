"""The image files that torchvision indexes, such as those of Food-101: what is published, and what is in each split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torchvision import datasets
from torchvision.datasets.utils import download_file_from_google_drive, download_url

from gan_cli.datasets.idx import SplitName
from gan_cli.errors import ConfigError, did_you_mean


class Index(NamedTuple):
    """The images of a split."""

    files: Sequence[str]
    """Relative to the folder that the archives are unpacked in."""
    labels: Sequence[int] | None
    classes: Sequence[str]


@dataclass(frozen=True)
class File:
    """A published file, with the MD5 that torchvision has for it."""

    url: str
    md5: str
    holds: str | None = None
    """What an archive is unpacked to; None for a list, which is read as it is."""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def fetch(self, folder: Path) -> None:
        """Put the file into a folder. Raises one of `FAILURES`."""
        download_url(self.url, folder, md5=self.md5)


@dataclass(frozen=True)
class DriveFile(File):
    """A file on Google Drive, which is fetched with the package gdown; `url` is its name."""

    drive_id: str = ""

    def fetch(self, folder: Path) -> None:
        try:
            download_file_from_google_drive(self.drive_id, folder, self.name, self.md5)
        except Exception as error:  # gdown's are of no kind of their own, and of several lines
            raise RuntimeError(" ".join(str(error).split()) or type(error).__name__) from error


@dataclass(frozen=True)
class Published:
    """A data set of image files."""

    folder: str
    """Where its files lie below the root, and are unpacked."""
    files: Sequence[File]
    index: Callable[[Path, SplitName, str | None], Index]
    """The images of a split under a root, with labels by an attribute, if there are any."""
    splits: Sequence[SplitName] = ("train", "test")
    counts: Mapping[SplitName, int] = field(default_factory=dict)
    """The number of images in each split, where torchvision takes all files that it finds to be the whole."""
    attributes: Sequence[File] = ()
    """What is read as well if labels are to be those of an attribute."""


def _of_folder(open_split: Callable[[Path, SplitName], Any], folder: str, files: str, labels: str = "") -> Any:
    """The index of one of torchvision's data sets, which keeps files and labels in two lists or in one of pairs."""

    def index(root: Path, split: SplitName, _: str | None) -> Index:
        data = open_split(root, split)
        pairs = zip(getattr(data, files), getattr(data, labels), strict=True) if labels else getattr(data, files)
        top = f"{root / folder}/"
        found = [(Path(path).as_posix().removeprefix(top), int(label)) for path, label in pairs]
        names = getattr(data, "classes", None) or range(1 + max(label for _, label in found))
        classes = [str(name[0] if isinstance(name, tuple) else name) for name in names]
        return Index([path for path, _ in found], [label for _, label in found], classes)

    return index


# CelebA


def _celeba_files(*names: str) -> list[File]:
    of_zip = {"img_align_celeba.zip": "img_align_celeba"}
    known = {name: (drive_id, md5) for drive_id, md5, name in datasets.CelebA.file_list}
    return [DriveFile(name, known[name][1], of_zip.get(name), known[name][0]) for name in names]


def _celeba(root: Path, split: SplitName, attribute: str | None) -> Index:
    # torchvision makes tensors of five lists before it names a file, which takes up to half a minute.
    folder = root / "celeba"
    part = {"train": "0", "test": "2"}[split]
    rows = map(str.split, (folder / "list_eval_partition.txt").read_text().splitlines())
    files = [name for name, of in rows if of == part]
    paths = [f"img_align_celeba/{name}" for name in files]
    if attribute is None:
        return Index(paths, None, ())
    _, names, *lines = map(str.split, (folder / "list_attr_celeba.txt").read_text().splitlines())
    if attribute not in names:
        raise ConfigError(f"dataset.attribute={attribute} is none of CelebA's: {did_you_mean(attribute, names)}")
    column = names.index(attribute) + 1
    has = {line[0]: line[column] == "1" for line in lines}
    return Index(paths, [int(has[name]) for name in files], [f"not {attribute}", attribute])


# What torchvision has


def _imagenette(size: str) -> Published:
    kind, (url, md5) = datasets.Imagenette, datasets.Imagenette._ARCHIVES[size]
    names = {"train": "train", "test": "val"}
    return Published(
        "",
        [File(url, md5, url.rpartition("/")[2].removesuffix(".tgz"))],
        _of_folder(lambda root, split: kind(root, names[split], size), "", "_samples"),
        counts={"train": 9469, "test": 3925},
    )


_FLOWERS = datasets.Flowers102._file_dict
_FLOWERS_URL = datasets.Flowers102._download_url_prefix
_PETS = datasets.OxfordIIITPet._RESOURCES
_GTSRB_URL = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
_EUROSAT_URL = "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/"

SETS = {
    "CelebA": Published(
        "celeba",
        _celeba_files("img_align_celeba.zip", "list_eval_partition.txt"),
        _celeba,
        attributes=_celeba_files("list_attr_celeba.txt"),
    ),
    "Country211": Published(
        "",
        [File(datasets.Country211._URL, datasets.Country211._MD5, "country211")],
        _of_folder(datasets.Country211, "", "samples"),
        counts={"train": 31650, "test": 21100},
    ),
    "DTD": Published(
        "dtd",
        [File(datasets.DTD._URL, datasets.DTD._MD5, "dtd")],
        _of_folder(datasets.DTD, "dtd", "_image_files", "_labels"),
    ),
    "EuroSAT": Published(
        "eurosat",
        [File(f"{_EUROSAT_URL}EuroSAT.zip", "c8fa014336c82ac7804f0398fcb19387", "2750")],
        _of_folder(lambda root, _: datasets.EuroSAT(root), "eurosat", "samples"),
        splits=("train",),
        counts={"train": 27000},
    ),
    "Flowers102": Published(
        "flowers-102",
        [
            File(_FLOWERS_URL + _FLOWERS["image"][0], _FLOWERS["image"][1], "jpg"),
            *(File(_FLOWERS_URL + _FLOWERS[of][0], _FLOWERS[of][1]) for of in ("label", "setid")),
        ],
        _of_folder(datasets.Flowers102, "flowers-102", "_image_files", "_labels"),
    ),
    "Food101": Published(
        "",
        [File(datasets.Food101._URL, datasets.Food101._MD5, "food-101")],
        _of_folder(datasets.Food101, "", "_image_files", "_labels"),
    ),
    "GTSRB": Published(
        "gtsrb",
        [
            File(f"{_GTSRB_URL}GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478", "GTSRB/Training"),
            File(f"{_GTSRB_URL}GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185", "GTSRB/Final_Test"),
            File(f"{_GTSRB_URL}GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5", "GT-final_test.csv"),
        ],
        _of_folder(datasets.GTSRB, "gtsrb", "_samples"),
        counts={"train": 26640},
    ),
    "Imagenette": _imagenette("full"),
    "Imagenette-160px": _imagenette("160px"),
    "Imagenette-320px": _imagenette("320px"),
    "OxfordIIITPet": Published(
        "oxford-iiit-pet",
        [File(url, md5, url.rpartition("/")[2].partition(".")[0]) for url, md5 in _PETS],
        _of_folder(
            lambda root, split: datasets.OxfordIIITPet(root, "trainval" if split == "train" else split),
            "oxford-iiit-pet",
            "_images",
            "_labels",
        ),
    ),
}
"""By torchvision's names: those that are files of images, and whose archives have published digests."""
