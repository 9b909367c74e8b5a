"""Small stand-ins for the sets of image files that torchvision indexes, in the layouts that are published."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image
from torchvision import datasets

from gan_cli.datasets.torchvision_files import SETS, Published
from tests.helpers.torchvision_files import md5

SIZES = [(20, 24), (31, 20), (26, 26)]


@dataclass
class StandIn:
    """A data set of grey images of many sizes, each image of a shade of its own."""

    archives: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """The content of each archive."""
    lists: dict[str, bytes] = field(default_factory=dict)
    shades: dict[str, list[int]] = field(default_factory=lambda: {"train": [], "test": []})
    """Those of the images of each split, in torchvision's order."""
    labels: dict[str, list[int]] = field(default_factory=lambda: {"train": [], "test": []})
    classes: Sequence[str] = ()
    shade: int = 0

    def add(self, archive: str, path: str, split: str | None, label: int = 0) -> None:
        """Add an image of a split, or of one that nobody asks for."""
        self.shade += 5
        buffer = io.BytesIO()
        size = SIZES[self.shade % len(SIZES)]
        suffix = Path(path).suffix.lower()
        kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".ppm": "PPM"}[suffix]
        Image.new("RGB", size, (self.shade,) * 3).save(buffer, kind)
        self.archives.setdefault(archive, {})[path] = buffer.getvalue()
        if split:
            self.shades[split].append(self.shade)
            self.labels[split].append(label)

    def published(self) -> dict[str, bytes]:
        """The files as a server has them."""
        return {name: packed(name, files) for name, files in self.archives.items()} | self.lists


def packed(name: str, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, raw in files.items():
                archive.writestr(path, raw)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for path, raw in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(raw)
                tar.addfile(member, io.BytesIO(raw))
    return buffer.getvalue()


# Each of them


def celeba() -> StandIn:
    made, parts = StandIn(), [0, 0, 1, 2, 0, 2] + 5 * [0, 2]
    partition, attributes = [], [str(len(parts)), "Bald Smiling Young "]
    for index, part in enumerate(parts):
        name, smile = f"{index + 1:06d}.jpg", int(index % 3 > 0)
        made.add("img_align_celeba.zip", f"img_align_celeba/{name}", {0: "train", 1: None, 2: "test"}[part], smile)
        partition.append(f"{name} {part}")
        attributes.append(f"{name} -1 {2 * smile - 1:2d}  1")
    made.lists["list_eval_partition.txt"] = ("\n".join(partition) + "\n").encode()
    made.lists["list_attr_celeba.txt"] = ("\n".join(attributes) + "\n").encode()
    made.classes = ["not Smiling", "Smiling"]
    return made


def country211() -> StandIn:
    made = StandIn(classes=["AD", "ZW"])
    for folder in ("train", "valid", "test"):
        for label, name in enumerate(made.classes):
            for index in range(2):
                made.add(
                    "country211.tgz", f"country211/{folder}/{name}/{index}.jpg", folder.replace("valid", ""), label
                )
    return made


def dtd() -> StandIn:
    made = StandIn(classes=["banded", "woven"])
    for split in ("train", "val", "test"):
        lines = []
        for label, name in ((1, "woven"), (0, "banded")):
            path = f"{name}/{name}_{split}.jpg"
            made.add("dtd-r1.0.1.tar.gz", f"dtd/images/{path}", split.replace("val", ""), label)
            lines.append(path)
        made.archives["dtd-r1.0.1.tar.gz"][f"dtd/labels/{split}1.txt"] = "\n".join(lines).encode()
    return made


def eurosat() -> StandIn:
    made = StandIn(classes=["Forest", "River"])
    for label, name in enumerate(made.classes):
        for index in range(1, 4):
            made.add("EuroSAT.zip", f"2750/{name}/{name}_{index}.jpg", "train", label)
    return made


def flowers102() -> StandIn:
    made = StandIn(classes=datasets.Flowers102.classes)
    ids: dict[str, list[int]] = {"trnid": [5, 1], "valid": [2], "tstid": [4, 3, 6]}
    labels = [102, 7, 7, 1, 30, 102]
    splits = {"trnid": "train", "valid": None, "tstid": "test"}
    for part, of_part in ids.items():
        for image in of_part:
            made.add("102flowers.tgz", f"jpg/image_{image:05d}.jpg", splits[part], labels[image - 1] - 1)
    contents: dict[str, dict[str, list[int]]] = {"imagelabels.mat": {"labels": labels}, "setid.mat": ids}
    for name, content in contents.items():
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, {key: np.array([value]) for key, value in content.items()})
        made.lists[name] = buffer.getvalue()
    return made


def food101() -> StandIn:
    made = StandIn(classes=["apple_pie", "waffles"])
    for split in ("train", "test"):
        listed: dict[str, list[str]] = {}
        for label, name in ((1, "waffles"), (0, "apple_pie")):
            for index in range(2):
                path = f"{name}/{split}{index}"
                made.add("food-101.tar.gz", f"food-101/images/{path}.jpg", split, label)
                listed.setdefault(name, []).append(path)
        made.archives["food-101.tar.gz"][f"food-101/meta/{split}.json"] = json.dumps(listed).encode()
    return made


def gtsrb() -> StandIn:
    made = StandIn(classes=["0", "1"])
    for label in range(2):
        for index in range(2):
            made.add("GTSRB-Training_fixed.zip", f"GTSRB/Training/{label:05d}/{index:05d}.ppm", "train", label)
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for index, label in enumerate([1, 0, 1]):
        made.add("GTSRB_Final_Test_Images.zip", f"GTSRB/Final_Test/Images/{index:05d}.ppm", "test", label)
        rows.append(f"{index:05d}.ppm;20;24;5;5;15;15;{label}")
    made.archives["GTSRB_Final_Test_GT.zip"] = {"GT-final_test.csv": "\n".join(rows).encode()}
    return made


def imagenette(archive: str) -> Callable[[], StandIn]:
    def make() -> StandIn:
        made = StandIn(classes=["tench", "parachute"])
        for folder, split in (("train", "train"), ("val", "test")):
            for label, wnid in enumerate(["n01440764", "n03888257"]):
                made.add(f"{archive}.tgz", f"{archive}/{folder}/{wnid}/{wnid}_{folder}.JPEG", split, label)
        return made

    return make


def pets() -> StandIn:
    made = StandIn(classes=["Abyssinian", "Great Pyrenees"])
    for listed, split in (("trainval", "train"), ("test", "test")):
        lines = []
        for label, name in enumerate(["Abyssinian", "great_pyrenees"]):
            made.add("images.tar.gz", f"images/{name}_{listed}.jpg", split, label)
            lines.append(f"{name}_{listed} {label + 1} {label + 1} 1")
        made.archives.setdefault("annotations.tar.gz", {})[f"annotations/{listed}.txt"] = "\n".join(lines).encode()
    return made


STAND_INS: dict[str, Callable[[], StandIn]] = {
    "CelebA": celeba,
    "Country211": country211,
    "DTD": dtd,
    "EuroSAT": eurosat,
    "Flowers102": flowers102,
    "Food101": food101,
    "GTSRB": gtsrb,
    "Imagenette": imagenette("imagenette2"),
    "Imagenette-160px": imagenette("imagenette2-160"),
    "Imagenette-320px": imagenette("imagenette2-320"),
    "OxfordIIITPet": pets,
}


def publish(name: str, patch: pytest.MonkeyPatch) -> tuple[StandIn, dict[str, bytes]]:
    """A stand-in, whose files have the published digests from now on, and these files."""
    made = STAND_INS[name]()
    files = made.published()
    known: Published = SETS[name]
    patch.setitem(
        SETS,
        name,
        replace(
            known,
            files=[replace(file, md5=md5(files[file.name])) for file in known.files],
            attributes=[replace(file, md5=md5(files[file.name])) for file in known.attributes],
            counts={split: len(made.shades[split]) for split in known.counts},
        ),
    )
    # torchvision itself verifies the lists of Flowers-102.
    listed = {what: (of, md5(files[of])) for what, (of, _) in datasets.Flowers102._file_dict.items() if of in files}
    patch.setattr(datasets.Flowers102, "_file_dict", datasets.Flowers102._file_dict | listed)
    return made, files


def put(name: str, root: Path, patch: pytest.MonkeyPatch) -> StandIn:
    """Put the published files under a root, archives not unpacked."""
    made, files = publish(name, patch)
    folder = root / SETS[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    for file, raw in files.items():
        (folder / file).write_bytes(raw)
    return made
