"""What `gan-cas` trains: conditions that differ in their images alone, and the classifiers of each, seed by seed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from gan_cli.commands.cas.data import Data, override
from gan_cli.commands.cas.material import Material
from gan_cli.commands.cas.settings import Settings
from gan_cli.errors import ConfigError
from gan_cli.runs.find import MEMBERS

GANS = "gans"
"""The folder of GANs that are trained on a few images."""


class Kind(Enum):
    """Where the images come from."""

    real = "real"
    synthetic = "synthetic"
    both = "real and synthetic"


@dataclass(frozen=True)
class Condition:
    """What a classifier is trained on."""

    name: str
    """Part of the names of folders: `real`, `synthetic`, `synthetic,times=10`, `real,per_class=50`, …"""
    label: str
    kind: Kind
    real: int
    """The number of real images, each seen several times."""
    synthetic: int
    """The number of synthetic images; of those that are drawn anew for every batch, as many as are seen."""
    images_seen: int
    """By each classifier in training, the same image counted each time."""
    per_class: int | None = None
    """Real images of each class; None: all."""
    times: int | None = None
    """Synthetic images in multiples of all real ones, where there are no others."""


@dataclass(frozen=True)
class Member:
    """A classifier to train."""

    condition: Condition
    seed: int
    steps: int
    overrides: tuple[str, ...]
    """Of `gan-classify`."""
    gan: str | None = None
    """The name of the GAN that must be trained first, on the real images of this condition and seed."""

    @property
    def name(self) -> str:
        return f"{self.condition.name},seed={self.seed}"


@dataclass(frozen=True)
class Plan:
    """The members in the order that they are trained in, and what is left out."""

    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()

    @property
    def conditions(self) -> list[Condition]:
        """Each once, in the order of tables."""
        return list(dict.fromkeys(member.condition for member in sorted(self.members, key=_place)))


def _place(member: Member) -> tuple[bool, int, int, float]:
    of = member.condition
    kinds = [Kind.real, Kind.synthetic, Kind.both]
    return of.per_class is not None, of.per_class or 0, kinds.index(of.kind), of.synthetic


def planned(settings: Settings, material: Material, folder: str, words: Sequence[str] = ()) -> Plan:
    """All members, the comparisons that matter most first, and each seed of all before the next of any.

    An interruption so leaves pairs behind that can be compared. `folder` is where all is written, `words` are overrides
    that every classifier is given. Raises `ConfigError` for more images of a class than there are.
    """
    planner = _Planner(settings, material, folder, words)
    whole, notes = planner.whole()
    few = list(planner.few())
    rounds = range(max(settings.seeds, settings.few_shot.seeds if few else 0))
    members = []
    for seed in rounds:
        if seed < settings.seeds:
            members += [planner.member(condition, seed) for condition in whole]
        if seed < settings.few_shot.seeds:
            members += [planner.member(condition, seed) for condition in few]
    return Plan(tuple(members), tuple(notes))


class _Planner:
    def __init__(self, settings: Settings, material: Material, folder: str, words: Sequence[str]) -> None:
        self._settings, self._material, self._folder, self._words = settings, material, folder, words
        # A batch holds no image twice, so that it is no larger than the data.
        fewest = min(material.real_count, material.synthetic_count or material.real_count)
        self._batch_size = min(settings.batch_size, fewest)
        self._seen = _rounded(settings.images_seen, self._batch_size)

    def whole(self) -> tuple[list[Condition], list[str]]:
        """The conditions on all real images, or on as many; and notes of those that the folder is too small for."""
        real, has = self._material.real_count, self._material.synthetic_count
        conditions, notes = [Condition("real", "real", Kind.real, real, 0, self._seen)], []
        for times in sorted(self._settings.synthetic):
            name = "synthetic" if times == 1 else f"synthetic,times={times}"
            if has is not None and times > 1:
                notes.append(f"{name} is left out: the images of a folder cannot be drawn anew")
                continue
            if has is not None and has != real:
                notes.append(f"the folder holds {has:,} synthetic images, and there are {real:,} real ones")
            count = has or times * real
            if times > 1 and self._draws_anew(count):
                count = self._seen
                if count <= real:
                    notes.append(f"{name} is left out: of {real:,} images no more than {count:,} are seen in training")
                    continue
            label = "synthetic" if times == 1 else f"synthetic, {count / real:.3g} times as many"
            conditions.append(Condition(name, label, Kind.synthetic, 0, count, self._seen, times=times))
        for ratio in sorted(self._settings.ratios):
            count, name = round(ratio * real), f"both,ratio={ratio:g}"
            if has is not None and count > has:
                notes.append(f"{name} is left out: it takes {count:,} synthetic images, and the folder holds {has:,}")
                continue
            label = f"real + synthetic, 1 : {ratio:g}"
            conditions.append(Condition(name, label, Kind.both, real, count, self._seen))
        return conditions, notes

    def few(self) -> Iterable[Condition]:
        """The conditions on a few real images a class, those without synthetic images before those with."""
        few, classes = self._settings.few_shot, len(self._material.classes)
        for per_class in sorted(few.per_class):
            if per_class > self._material.real_least:
                raise ConfigError(
                    f"cas.few_shot.per_class holds {per_class}, and a class of dataset= has {self._material.real_least}"
                    " images: choose fewer, as cas.few_shot.per_class=[50]"
                )
            real, ending = per_class * classes, f"{per_class} a class"
            seen = _rounded(few.images_seen, min(self._batch_size, real))
            name = f"real,per_class={per_class}"
            yield Condition(name, f"real, {ending}", Kind.real, real, 0, seen, per_class)
            synthetic = round(few.share * seen)
            if self._material.synthetic_count is not None:
                synthetic = min(round(real * few.share / (1 - few.share)), self._material.synthetic_count)
            name = f"both,per_class={per_class}"
            yield Condition(name, f"real + synthetic, {ending}", Kind.both, real, synthetic, seen, per_class)

    def _draws_anew(self, count: int) -> bool:
        """Whether a classifier sees each of so many synthetic images once at most, so that none has to be kept."""
        return count >= self._settings.images_seen

    def member(self, condition: Condition, seed: int) -> Member:
        batch_size = min(self._batch_size, condition.real) if condition.per_class is not None else self._batch_size
        steps = condition.images_seen // batch_size
        gan = None
        if self._settings.train_gan and condition.per_class is not None and condition.kind is Kind.both:
            gan = f"{GANS}/per_class={condition.per_class},seed={seed}"
        overrides = [
            f"classifier={self._settings.classifier}",
            *self._data(condition, seed, gan),
            override("test.data", self._material.test.text),
            f"seed={seed}",
            override("name", f"{condition.name},seed={seed}"),
            override("outputs", f"{self._folder}/{MEMBERS}"),
            f"train.steps={steps}",
            f"train.batch_size={batch_size}",
            # The accuracy is measured once, after the last step: no epoch is chosen by it.
            "every.evaluate=null",
            "every.samples=null",
            "every.log=20",
            "every.checkpoint=500",
            "every.keep=1",
            # One thread, so that the numbers do not depend on how many members are trained at a time.
            "device.threads=1",
        ]
        given = {word.split("=")[0] for word in self._words}
        own = [word for word in overrides if word.split("=")[0] not in given]
        return Member(condition, seed, steps, (*own, *self._words), gan)

    def _data(self, condition: Condition, seed: int, gan: str | None) -> list[str]:
        material = self._material
        if condition.kind is Kind.synthetic:
            is_new = condition.times != 1 and self._draws_anew(condition.synthetic)
            return material.drawn(None if is_new else condition.synthetic, seed).overrides()
        real = material.real
        if condition.per_class is not None:
            real = real.having(per_class=condition.per_class, subset_seed=seed)
        if condition.kind is Kind.real:
            return real.overrides()
        if condition.per_class is None:
            share = condition.synthetic / (condition.synthetic + condition.real)
            synthetic = material.drawn(condition.synthetic, seed)
        else:
            share, synthetic = self._settings.few_shot.share, material.drawn(None, seed)
            if gan is not None:
                synthetic = synthetic.having(run=f"{self._folder}/{gan}")
        return _mixed(real, synthetic, share, seed)


def _mixed(first: Data, second: Data, share: float, seed: int) -> list[str]:
    return [
        "dataset=mixed",
        override("dataset.first", first.text),
        override("dataset.second", second.text),
        f"dataset.share={share!r}",
        f"dataset.subset_seed={seed}",
    ]


def _rounded(images: int, batch_size: int) -> int:
    """The images of as many whole batches as it takes."""
    return math.ceil(images / batch_size) * batch_size
