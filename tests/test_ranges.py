"""The ranges that annotations state, at their edges: as the gate holds each option of the groups to them."""

import pytest
from omegaconf import OmegaConf

from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Dataset
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.mmd import Kernel
from gan_cli.divergences.penalties import Penalty
from gan_cli.errors import ConfigError
from gan_cli.metrics.base import Metric
from gan_cli.models.base import Critic, Generator
from gan_cli.training.device import Device

KINDS = {
    "dataset": Dataset,
    "device": Device,
    "divergence": Divergence,
    "divergence/kernel": Kernel,
    "divergence/penalty": Penalty,
    "metric": Metric,
}

A_SCHEDULE = "a node with a _target_ (Schedule)"
PENALTIES = [name for name in options.names("divergence/penalty") if name != "none"]

EDGES = [
    *[("divergence", f"{name}:critic_steps=0", "at least 1") for name in options.names("divergence")],
    ("divergence", "wgan_clip:clip=0", "above 0"),
    ("divergence", "js_weighted:weight=0", "above 0"),
    ("divergence", "js_weighted:weight=1", "below 1"),
    ("divergence/kernel", "rational_quadratic:alphas=[]", "a list of at least 1"),
    ("divergence/kernel", "rational_quadratic:alphas=[0]", "above 0"),
    ("divergence/kernel", "rational_quadratic:length=0", "above 0"),
    ("divergence/kernel", "gaussian:bandwidths=[0]", "above 0"),
    *[("divergence/penalty", f"{name}:weight=-0.1", f"at least 0 or {A_SCHEDULE}") for name in PENALTIES],
    *[("divergence/penalty", f"{name}:share=0", "above 0") for name in PENALTIES],
    *[("divergence/penalty", f"{name}:share=1.01", "at most 1") for name in PENALTIES],
    ("dataset", "ring:modes=0", "at least 1"),
    ("dataset", "ring:modes=1000001", "at most 1000000"),
    ("dataset", "ring:radius=0", "above 0"),
    ("dataset", "ring:deviation=0", "above 0"),
    ("dataset", "grid:side=0", "at least 1"),
    ("dataset", "grid:side=1001", "at most 1000"),
    ("dataset", "grid:spacing=0", "above 0"),
    ("dataset", "grid:deviation=-1", "above 0"),
    ("dataset", "gaussian:mean=[]", "a list of at least 1"),
    ("dataset", "gaussian:deviation=0", "above 0"),
    ("dataset", "mixture1d:deviations=[0,1]", "above 0"),
    ("dataset", "mixture1d:weights=[0,1]", "above 0"),
    ("dataset", "swiss_roll:noise=0", "above 0"),
    ("dataset", "swiss_roll:scale=0", "above 0"),
    ("dataset", "mnist5k:resolution=0", "at least 1"),
    ("dataset", "mnist:resolution=0", "at least 1"),
    ("dataset", "fashion_mnist:resolution=-1", "at least 1"),
    ("dataset", "stacked_mnist:resolution=0", "at least 1"),
    ("dataset", "folder:resolution=0", "at least 1 or null"),
    ("device", "cpu:threads=0", "at least 1 or null"),
    ("device", "cpu:threads=1025", "at most 1024 or null"),
    ("device", "cpu:workers=0", "at least 1"),
    ("device", "cpu:workers=257", "at most 256"),
    ("metric", "frechet:frechet.samples=3", "at least 4"),
    ("metric", "kernel:kernel.samples=1", "at least 2"),
    ("metric", "precision_recall:precision_recall.neighbours=0", "at least 1"),
    ("metric", "classifier_score:classifier_score.samples=1", "at least 2"),
    ("metric", "class_histogram:class_histogram.samples=1", "at least 2"),
    ("metric", "stacked_modes:stacked_modes.samples=1", "at least 2"),
    ("metric", "parzen_goodfellow:parzen_goodfellow.samples=2", "at least 3"),
    ("metric", "parzen_fgan:parzen_fgan.samples=2", "at least 3"),
    ("metric", "neighbours:neighbours.samples=0", "at least 1"),
    ("metric", "neighbours:neighbours.quantile=0", "above 0"),
    ("metric", "neighbours:neighbours.quantile=1", "below 1"),
    ("metric", "sliced_wasserstein:sliced_wasserstein.samples=1", "at least 2"),
    ("metric", "sliced_wasserstein:sliced_wasserstein.projections=0", "at least 1"),
    ("metric", "modes:modes.samples=0", "at least 1"),
    ("metric", "modes:modes.radius=0", "above 0"),
    ("metric", "exact:exact.samples=999", "at least 1000"),
    *[("model", f"{name}:generator.latent_size=0", "at least 1") for name in ("mlp", "dcgan", "resnet", "r3gan")],
    *[
        ("model", f"{name}:{side}.width=0", "at least 1")
        for name in ("dcgan", "resnet", "r3gan")
        for side in ("generator", "critic")
    ],
    ("model", "mlp:generator.hidden=[0]", "at least 1"),
    ("model", "mlp:critic.hidden=[0]", "at least 1"),
    ("model", "resnet:critic.max_width=0", "at least 1"),
    *[
        ("model", f"r3gan:generator.{knob}=0", "at least 1")
        for knob in ("widest_side", "blocks", "expansion", "group_size")
    ],
    ("model", "gaussian:generator.deviation=0", "above 0"),
]


@pytest.mark.parametrize(("group", "text", "range_in_words"), EDGES, ids=str)
def test_a_number_out_of_its_range_is_refused(group, text, range_in_words):
    node = options.option(group, text)
    for missing in OmegaConf.missing_keys(node):
        OmegaConf.update(node, missing, "given")
    key, given = text.rpartition(":")[2].split("=")
    part, _, knob = key.rpartition(".")
    kind, injected = KINDS.get(group), {}
    if group == "model":
        kind, injected = {"generator": Generator, "critic": Critic}[part], {"sample_shape": (1, 32, 32)}
    with pytest.raises(ConfigError) as caught:
        build(OmegaConf.select(node, part) if part else node, kind, "key", **injected)
    at, _, complaint = str(caught.value).partition(" ")
    assert at == f"key.{knob}={given}" or at in (f"key.{knob}[0]=0", f"key.{knob}[0]=0.0")
    assert complaint == f"must be {range_in_words}"
