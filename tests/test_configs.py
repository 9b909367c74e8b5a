"""Every option of every group builds and takes a step, and every yaml says what it is."""

import hashlib
import inspect
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from pydoc import locate
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from gan_cli.assembly.games import assemble
from gan_cli.config.build import build
from gan_cli.config.options import CONFIGS, option
from gan_cli.config.options import names as options
from gan_cli.config.schema import GROUPS
from gan_cli.config.taken import COMMANDS, kind_of_recipe
from gan_cli.datasets import images
from gan_cli.editions import NEWEST
from gan_cli.errors import ConfigError
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.metrics.samples import Samples
from tests.helpers.configs import TINY, compose
from tests.helpers.resuming import advance
from tests.helpers.runs import record, train
from tests.helpers.torchvision_files import cifar10
from tests.helpers.torchvision_images import put

YAMLS = {str(path.relative_to(CONFIGS).with_suffix("")): path for path in sorted(CONFIGS.rglob("*.yaml"))}
INJECTED = {"sample_shape", "class_count", "open_classifier", "params", "open_run"}
"""What a constructor is given when a run is built, and no yaml holds."""


IMAGES = [name for name in options("dataset") if "resolution" in OmegaConf.load(YAMLS[f"dataset/{name}"])]
OF_OTHERS = [name for name in options("dataset") if {"run", "first"} & OmegaConf.load(YAMLS[f"dataset/{name}"]).keys()]
"""Data sets that are made of others, or of runs."""
TOYS = [name for name in options("dataset") if name not in (*IMAGES, *OF_OTHERS)]


def little(dataset: str, data: Path) -> list[str]:
    """A run of one step on little of a data set."""
    overrides = [f"dataset={dataset}", "train.batch_size=8", "train.steps=1"]
    if dataset in (*IMAGES, *OF_OTHERS):
        overrides += ["model.generator.width=4", "model.critic.width=4"]
    if dataset in IMAGES:
        overrides.append("dataset.resolution=8")
    missing = OmegaConf.missing_keys(OmegaConf.load(YAMLS[f"dataset/{dataset}"]))
    if "path" in missing:
        (path,) = (data / "paths").glob(f"{dataset}*")
        overrides.append(f"dataset.path={path}")
    if "run" in missing:
        run = train(data / "source", *little("mnist", data), "model.conditional=true")
        overrides.append(f"dataset.run={run}")
    members = sorted({"first", "second"} & missing)
    return [*overrides, *(f'dataset.{name}="mnist:resolution=8"' for name in members)]


def first_that_fits(candidates: Iterable[Sequence[str]], *overrides: str) -> list[str]:
    """The first of the candidates, and the overrides, that make a run together."""
    refusals = []
    for candidate in candidates:
        try:
            assemble(compose(*candidate, *overrides))
        except ConfigError as error:
            refusals.append(str(error))
        else:
            return [*candidate, *overrides]
    pytest.fail("\n".join(["nothing fits:", *refusals]))


def assert_takes_a_step(*overrides: str) -> None:
    experiment = assemble(compose("train.steps=1", *overrides))
    untrained = experiment.state.fingerprint()
    (terms,) = experiment.terms()
    assert {"estimate", "penalty", "critic_loss", "generator_loss"} <= terms.keys()
    assert all(math.isfinite(value) for value in terms.values())
    assert experiment.state.step == 1
    assert experiment.state.fingerprint() != untrained


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """A root with small stand-ins for all data that are not in the package: no test asks the network."""
    monkeypatch.setenv("GAN_CLI_DATA", str(tmp_path))
    generator = np.random.default_rng(0)
    for published in (images.MNIST, images.FASHION_MNIST):
        for name in published.digests:
            shape = (600, 28, 28) if "images" in name else (600,)
            header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
            raw = header + generator.integers(0, 10, shape, dtype=np.uint8).tobytes()
            file = tmp_path / published.name / "raw" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(raw)
            monkeypatch.setitem(published.digests, name, hashlib.md5(raw, usedforsecurity=False).hexdigest())
    cifar10(tmp_path, monkeypatch)
    put("CelebA", tmp_path, monkeypatch)
    # What `dataset.path` is, by the name of the data set.
    paths = tmp_path / "paths"
    for name in ("ant", "bee"):
        (paths / "folder" / name).mkdir(parents=True)
        for index in range(8):
            pixels = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(paths / "folder" / name / f"{index}.png")
    np.save(paths / "array.npy", generator.integers(0, 256, (8, 20, 20), dtype=np.uint8))
    np.savetxt(paths / "points.csv", generator.normal(size=(50, 2)), delimiter=",")
    return tmp_path


# Every option


def test_every_group_of_the_config_has_options():
    beside = {"cas", "experiment", "scale", "schedule"}
    assert {path.name for path in CONFIGS.iterdir() if path.is_dir()} == {*GROUPS, *beside}
    assert all(options(group) for group in GROUPS)


@pytest.mark.thorough
@pytest.mark.parametrize("divergence", options("divergence"))
def test_every_divergence_takes_a_step(divergence):
    assert_takes_a_step(*TINY, f"divergence={divergence}")


@pytest.mark.parametrize("penalty", options("divergence/penalty"))
@pytest.mark.parametrize("divergence", ["gan", "wgan_clip", "hinge", "relativistic", "mmd"])
def test_every_penalty_takes_a_step_with_a_divergence_of_every_family(penalty, divergence):
    assert_takes_a_step(*TINY, f"divergence={divergence}", f"divergence/penalty={penalty}")


@pytest.mark.parametrize(
    ("chosen", "penalty"),
    [
        ([], "R1"),
        (["dataset=mnist"], "NoPenalty"),
        (["dataset=ring"], "R1R2"),
        (["dataset=ring", "divergence=wgan_gp"], "Interpolate"),
        (["dataset=ring", "divergence=wgan_clip"], "NoPenalty"),
        (["dataset=ring", "divergence=wgan_gp", "divergence/penalty=r1"], "R1"),
        (["dataset=ring", "divergence/penalty=none"], "NoPenalty"),
        (["experiment=ring", "divergence=wgan_lp", "divergence/penalty=interpolate"], "Interpolate"),
    ],
)
def test_the_user_chooses_the_penalty_then_the_recipe_the_divergence_and_the_data(chosen, penalty):
    assert compose(*chosen).divergence.penalty._target_.rpartition(".")[2] == penalty


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([], {"train.batch_size": 64, "model.generator.latent": "mixture", "optimizer.critic.lr": 2e-3}),
        (["train.batch_size=8"], {"train.batch_size": 8, "train.schedule": "cosine"}),
        (["model=dcgan"], {"model.generator.latent": "normal", "train.batch_size": 64}),
        (["optimizer=adam"], {"optimizer.critic.lr": 5e-4, "model.critic.width": 24}),
        (["divergence=wgan_gp"], {"divergence.penalty.weight": 10.0, "train.batch_size": 64}),
        (["dataset=mnist"], {"train.batch_size": 32, "model.generator.latent": "normal", "optimizer.critic.lr": 5e-4}),
        (["experiment=fgan_mnist", "dataset=mnist5k"], {"train.batch_size": 4096, "optimizer.critic.lr": 2e-4}),
    ],
    ids=str,
)
def test_the_recipe_of_a_data_set_gives_way_to_every_other_choice(chosen, expected):
    config = compose(*chosen)
    assert {key: OmegaConf.select(config, key) for key in expected} == expected


SCALES = options("scale")


def without_numbers(node: Any) -> Any:
    """The keys of a yaml, and the groups that it chooses an option of."""
    if isinstance(node, dict):
        return {key: without_numbers(value) for key, value in node.items()}
    return [without_numbers(item) for item in node] if isinstance(node, list) else None


def test_every_scale_sets_what_the_others_set_so_that_the_last_decides():
    assert {"cpu", "small", "base", "paper"} <= set(SCALES)
    first, *others = (
        without_numbers(OmegaConf.to_container(OmegaConf.load(YAMLS[f"scale/{name}"]))) for name in SCALES
    )
    assert all(other == first for other in others)


@pytest.mark.thorough
@pytest.mark.parametrize("recipe", ["cifar10", "cifar10_conditional", "folder"])
@pytest.mark.parametrize("scale", SCALES)
def test_a_recipe_takes_a_step_at_every_scale(scale, recipe, data):
    chosen = [f"experiment={recipe}", f"scale={scale}", "train.batch_size=4", "model.generator.width=8"]
    if recipe == "folder":
        chosen += [f"dataset.path={data / 'paths' / 'folder'}", "dataset.resolution=32"]
    assert_takes_a_step(*chosen)


CPU, BASE = "gan_cli.models.dcgan.Generator", "gan_cli.models.r3gan.Generator"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([], {"model.generator._target_": CPU, "train.schedule": "cosine:start=0.5", "divergence.penalty.weight": 0.1}),
        (["scale=base"], {"model.generator._target_": BASE, "train.schedule": "constant"}),
        (["model=dcgan"], {"model.generator.width": 16, "train.schedule": "cosine:start=0.5"}),
        (["scale=paper", "model=dcgan"], {"model.generator.width": 16, "train.batch_size": 512}),
        (["divergence=wgan_gp"], {"divergence.penalty.weight": 10.0, "train.schedule": "cosine:start=0.5"}),
        (["divergence/penalty=r1"], {"divergence.penalty.weight": 1.0}),
        (["augmentation=diffaugment"], {"augmentation.probability": 1.0}),
        (["experiment=cifar10", "scale=cpu"], {"model.generator._target_": CPU, "dataset.resolution": 32}),
        (["experiment=mnist"], {"train.batch_size": 64, "device.threads": 1}),
    ],
    ids=str,
)
def test_what_a_bare_folder_brings_gives_way_to_every_other_choice(chosen, expected):
    config = compose("dataset=folder", "dataset.path=.", *chosen)
    assert {key: OmegaConf.select(config, key) for key in expected} == expected


def test_a_folder_can_have_what_other_pictures_of_ones_own_have():
    """The changelog's command."""
    choices = ["model=dcgan", "divergence=gan", "divergence/penalty=none", "augmentation=none", "optimizer=adam"]
    choices += ["train.steps=7000", "train.batch_size=32", "train.schedule=constant", "train.reuse_samples=false"]
    folder, array = compose("dataset=folder", "dataset.path=.", *choices), compose("dataset=array", "dataset.path=.")
    folder.dataset = array.dataset = None
    assert folder == array


def test_a_bare_folder_is_trained_on_under_the_relativistic_loss_with_augmentation_where_it_overfits():
    config = compose("dataset=folder", "dataset.path=.")
    assert config.divergence._target_ == "gan_cli.divergences.relativistic.Relativistic"
    assert config.augmentation.probability._target_ == "gan_cli.augmentations.adaptive.Adaptive"
    assert compose("dataset=mnist").augmentation._target_ == "gan_cli.augmentations.base.NoAugmentation"


@pytest.mark.thorough
@pytest.mark.parametrize("model", options("model"))
def test_every_model_takes_a_step_on_images_or_on_a_toy_that_it_is_for(model):
    images = ["dataset=mnist5k", "dataset.resolution=16"]
    chosen = [f"model={model}", "train.batch_size=8"]
    assert_takes_a_step(*first_that_fits([images, *([f"dataset={toy}"] for toy in TOYS)], *chosen))


NORMALIZING = [name for name in options("model") if "normalization" in OmegaConf.load(YAMLS[f"model/{name}"]).generator]


@pytest.mark.thorough
@pytest.mark.parametrize("normalization", ["batch", "spectral"])
@pytest.mark.parametrize("model", NORMALIZING)
def test_nothing_in_a_frozen_generator_moves(model, normalization):
    """Neither weights nor running statistics nor power iterations, which the first edition let move."""
    chosen = [f"model={model}", f"model.generator.normalization={normalization}"]
    chosen += ["dataset=mnist5k", "dataset.resolution=16", "train.generator=frozen", "train.batch_size=4"]
    for edition in range(1, NEWEST + 1):
        job = assemble(compose(*chosen, "train.steps=2"), edition=edition)
        before = {name: tensor.clone() for name, tensor in job.state.generator.state_dict().items()}
        after = advance(job, 2).state.generator.state_dict()
        moved = [name for name in before if not torch.equal(before[name], after[name])]
        assert bool(moved) == (edition == 1), moved


@pytest.mark.parametrize("augmentation", options("augmentation"))
def test_an_option_by_its_name_is_what_a_composition_has(augmentation):
    """One that begins as another of its group among them."""
    assert option("augmentation", augmentation) == compose(f"augmentation={augmentation}").augmentation


@pytest.mark.thorough
@pytest.mark.parametrize("augmentation", options("augmentation"))
def test_every_augmentation_takes_a_step_on_images_or_on_a_toy_that_it_is_for(augmentation, data):
    candidates = [little(name, data) for name in (*IMAGES, *TOYS)]
    assert_takes_a_step(*first_that_fits(candidates, f"augmentation={augmentation}"))


@pytest.mark.thorough
@pytest.mark.parametrize("schedule", options("schedule"))
def test_every_schedule_takes_a_step_as_a_factor_on_rates_or_as_a_decay(schedule):
    places = [[f"train.schedule={schedule}"], [f"train.average_decay={schedule}"]]
    assert_takes_a_step(*first_that_fits(places, *TINY))


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_optimizer_takes_a_step(optimizer):
    assert_takes_a_step(*TINY, f"optimizer={optimizer}")


@pytest.mark.parametrize("device", options("device"))
def test_every_device_takes_a_step(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    assert_takes_a_step(*TINY, f"device={device}")


@pytest.mark.thorough
@pytest.mark.parametrize("dataset", options("dataset"))
def test_every_data_set_makes_a_run_with_pictures(dataset, data):
    train(data / "run", *little(dataset, data), pictures=True)
    assert record(data / "run")["status"] == "done"
    drawn = {path.name for path in (data / "run").glob("*.png")}
    shows_images = len(record(data / "run")["sample_shape"]) == 3
    assert drawn == {"samples.png", "curves.png"} | ({"real.png"} if shows_images else set())
    for name in drawn:
        with Image.open(data / "run" / name) as picture:
            picture.load()


LARGE = {"parzen_goodfellow": "60,000 training images"}
"""Metrics that need more data than a test has, and what they say then."""


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory) -> set[str]:
    """The numbers that a run reports without any metric."""
    return set(record(train(tmp_path_factory.mktemp("unmeasured") / "run", *TINY, "train.steps=1"))["final"])


@pytest.mark.thorough
@pytest.mark.parametrize("metric", options("metric"))
def test_every_metric_is_reported_and_says_truly_whether_it_needs_an_extractor(metric, data, monkeypatch, unmeasured):
    asked = []
    features = vars(Samples)["features"].func

    def asking(samples):
        asked.append(samples)
        return features(samples)

    monkeypatch.setattr(Samples, "features", property(asking))
    measured, few, many = [f"metric=[{metric}]"], [], []
    if "samples" in OmegaConf.load(YAMLS[f"metric/{metric}"])[metric]:
        few, many = [f"metric.{metric}.samples=500"], [f"metric.{metric}.samples=1000"]
    # Inception's weights would have to be fetched.
    images = [name for name in IMAGES if "inception" not in YAMLS[f"dataset/{name}"].read_text()]
    candidates = [[*little(name, data), *many] for name in TOYS] + [[*little(name, data), *few] for name in images]
    candidates += [[*candidate, "model.conditional=true"] for candidate in candidates]
    if metric in LARGE:
        with pytest.raises(ConfigError, match=LARGE[metric]):
            assemble(compose(*little("mnist", data), *measured))
        return
    chosen = first_that_fits(candidates, *measured)
    assert unmeasured < record(train(data / "run", *chosen))["final"].keys()
    assert bool(asked) == (assemble(compose(*chosen)).metrics[metric].looks_at != "samples")


@pytest.mark.parametrize("extractor", sorted({*options("metric/extractor")} - {"inception", "classifier"}))
def test_every_extractor_gives_features(extractor):
    node = compose("dataset=mnist5k", f"metric/extractor={extractor}").metric.extractor
    built = build(node, Extractor, "metric.extractor")
    features = built(torch.zeros(3, getattr(built, "channels", 1), 28, 28, dtype=torch.uint8))
    assert len(features.vectors) == 3
    assert features.vectors.isfinite().all()


@pytest.mark.parametrize("tracker", options("tracker"))
def test_every_tracker_follows_a_run(tracker, tmp_path):
    if tracker == "tensorboard":
        pytest.importorskip("tensorboard")
    train(tmp_path / "run", *TINY, f"tracker={tracker}", "train.steps=1")
    assert (tmp_path / "run" / "tensorboard").exists() == (tracker == "tensorboard")


MATRIX = ("dataset=mixture1d", "metric=[]")
MATRIX_MEMBERS = OmegaConf.load(YAMLS["experiment/divergence_matrix"]).study.members


@pytest.mark.thorough
@pytest.mark.parametrize("member", MATRIX_MEMBERS)
def test_every_row_of_the_matrix_takes_a_step(member):
    assert_takes_a_step("experiment=divergence_matrix", *MATRIX, *MATRIX_MEMBERS[member])


def only(study, *members):
    """The overrides that leave a study these members only."""
    all_of_them = OmegaConf.load(YAMLS[f"experiment/{study}"]).study.members
    return [f"~study.members.{name}" for name in all_of_them if name not in members]


def command_of(experiment: str) -> str:
    return COMMANDS[kind_of_recipe(OmegaConf.load(YAMLS[f"experiment/{experiment}"]))]


@pytest.mark.thorough
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_recipe_runs_a_step_by_its_command(experiment, data, inside, monkeypatch):
    monkeypatch.chdir(data)
    # What does not grow with the steps is cut short.
    shorter = {
        "fgan_univariate": ["study.critic_steps=1", *only("fgan_univariate", "kl", "pearson")],
        "non_saturating": only("non_saturating", "kl"),
        "divergence_matrix": [*MATRIX, *only("divergence_matrix", "kl", "wgan_gp")],
        "fgan_mnist": ["train.batch_size=8"],
        **{name: ["train.batch_size=8"] for name in ("cifar10", "cifar10_conditional", "folder", "cifar10_classifier")},
    }
    arguments = [f"experiment={experiment}", "train.steps=1", *shorter.get(experiment, [])]
    if f"experiment={experiment} dataset.path=" in (CONFIGS / "experiment" / f"{experiment}.yaml").read_text():
        arguments += [f"dataset.path={data / 'paths' / 'folder'}"]
    finished = inside(command_of(experiment), *arguments)
    assert finished.code == 0, finished.err
    (folder,) = (path.parent for path in (data / "outputs").rglob("run.json") if "members" not in path.parts)
    assert record(folder)["status"] == "done"


@pytest.mark.parametrize("experiment", options("experiment"))
def test_the_header_of_every_recipe_has_its_command(experiment):
    text = YAMLS[f"experiment/{experiment}"].read_text()
    header = [line for line in text.splitlines() if line.startswith("#") and "@package" not in line]
    assert f"{command_of(experiment)} experiment={experiment}" in " ".join(header)


# What stands in the yaml files


def leaves(node: dict) -> list[dict]:
    below = [leaf for child in node.values() if isinstance(child, dict) for leaf in leaves(child)]
    return [node, *below] if "_target_" in node else below


@pytest.mark.parametrize("name", sorted(YAMLS.keys() - {"config", "classify", "folders", "games"}))
def test_every_knob_of_a_part_stands_in_its_yaml(name):
    node: Any = OmegaConf.to_container(OmegaConf.load(YAMLS[name]))
    begins_as_another = any(isinstance(each, str) and each != "_self_" for each in node.pop("defaults", []))
    nested = {folder.name for folder in YAMLS[name].parent.iterdir() if folder.is_dir()}
    if name.startswith("experiment/"):
        study = node.pop("study", {})
        assert not leaves(node)
        node = {"study": study}
    assert leaves(node) or name.startswith(("experiment/", "scale/", "cas/")) or begins_as_another
    for leaf in leaves(node):
        part: Any = locate(leaf["_target_"])
        knobs = inspect.signature(part).parameters.keys() - INJECTED - nested
        shown = leaf.keys() - {"_target_", "_partial_"}
        # Of torch's own classes, those that a recipe may want.
        assert shown == knobs if leaf["_target_"].startswith("gan_cli.") else shown < knobs


@pytest.mark.parametrize("name", YAMLS)
def test_every_yaml_says_what_it_is_in_its_first_line(name):
    assert YAMLS[name].read_text().startswith("# ")
