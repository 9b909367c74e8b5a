"""Every way to execute a step computes the same step: compiled or captured, in float32, tf32 or bfloat16."""

import copy
import math
import warnings
from collections import deque
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan_cli.assembly.games import assemble
from gan_cli.augmentations.adaptive import Adaptive
from gan_cli.augmentations.diffaugment import DiffAugment
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Batch, Images
from gan_cli.datasets.mixtures import Ring
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.penalties import Interpolate
from gan_cli.divergences.wasserstein import Wasserstein
from gan_cli.models import mlp
from gan_cli.schedules import Linear, Schedule
from gan_cli.training import acceleration
from gan_cli.training.acceleration import CapturedIteration, CompiledIteration, accelerated, choose_mode
from gan_cli.training.batches import batches
from gan_cli.training.device import Device
from gan_cli.training.execution import Plan, plan
from gan_cli.training.loop import EagerIteration, Game, train
from gan_cli.training.precision import choose_precision, has_bf16
from gan_cli.training.scheduling import Scheduling
from gan_cli.training.state import TrainState, averaged_copy
from tests.helpers.configs import DIVERGENCES, PENALTIES, TINY, compose
from tests.helpers.resuming import assert_resumes_exactly

RING = Ring(modes=8, radius=1.0, deviation=0.02)
CPU = torch.device("cpu")
STEPS = 10

FALLING = Scheduling(rates=Linear(1.0, 0.0, None))

TOLERANCE = {"float32": 1e-4, "tf32": 5e-3, "bf16": 2e-2}
"""How far the weights may be from those of float64, as a share of the way that they went."""

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
hidden_by_the_compiler = pytest.mark.filterwarnings(
    # torch's compiler looks for gradients in all that a function is given; it hides this, but from no error filter.
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)


class Latents(mlp.Generator):
    """Draws what it would in float32, whatever the precision of its weights."""

    def sample_latent(self, n, generator=None):
        return super().sample_latent(n, generator).to(next(self.parameters()).dtype)


def new_state(device=CPU, dtype=torch.float32, normalization="none"):
    torch.manual_seed(0)
    generator = Latents((2,), 4, "normal", [32, 32], "tanh", normalization).to(device, dtype)
    critic = mlp.Critic((2,), [32, 32], "tanh", "none").to(device, dtype)
    sgd = partial(torch.optim.SGD, lr=0.02, momentum=0.5, fused=dtype == torch.float32)
    return TrainState(
        generator, critic, averaged_copy(generator), sgd(generator.parameters()), sgd(critic.parameters())
    )


def steps_of(state, divergence, accelerate=None, steps=STEPS, dtype=torch.float32, device=CPU, **choices):
    """The terms of some steps, at rates that fall to 0."""
    game = Game(state.generator, state.critic, divergence, **choices)
    iterate = None if accelerate is None else accelerate(state, game, FALLING)
    drawn = batches(RING, 16, 0, device)
    data: Any = lambda first, count: Batch(drawn(first, count).samples.to(dtype))  # noqa: E731
    return list(train(state, game, data, steps=steps, seed=0, scheduling=FALLING, iterate=iterate))


def trained(divergence, dtype=torch.float32, device=CPU, **execution):
    """All weights after some steps, and the way that they went."""
    state = new_state(device, dtype)
    before = weights(state)
    steps_of(state, divergence, dtype=dtype, device=device, **execution)
    after = weights(state)
    return after, (after - before).norm().item()


def weights(state):
    networks = (state.generator, state.critic, state.average)
    return torch.cat([p.detach().double().flatten().cpu() for network in networks for p in network.parameters()])


def said(caplog):
    """What the program logged, without the compiler's own lines."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("gan_cli")]


def divergence_of(name, penalty):
    node = options.option("divergence", name)
    node.penalty = options.option("divergence/penalty", penalty)
    return build(node, Divergence, "divergence")


def compiling(state, game, scheduling):
    return CompiledIteration(state, game)


def assert_same_step(divergence, tolerance, device=CPU, reuse_samples=False, **execution):
    reference = trained(divergence, torch.float64, device, reuse_samples=reuse_samples)
    assert_near(reference, divergence, tolerance, device, reuse_samples, **execution)


def assert_near(reference, divergence, tolerance, device=CPU, reuse_samples=False, **execution):
    """The steps in float32 lead to where those of the reference do, up to the rounding of the weights themselves."""
    expected, way = reference
    found, _ = trained(divergence, torch.float32, device, reuse_samples=reuse_samples, **execution)
    rounding = torch.finfo(torch.float32).eps * expected.norm().item()
    assert way > 1e-3
    assert 0 < (found - expected).norm().item() < tolerance * way + rounding


@pytest.mark.thorough
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_float32_and_bfloat16_take_the_steps_of_float64(divergence, penalty):
    divergence = divergence_of(divergence, penalty)
    for reuse_samples in (False, True):
        reference = trained(divergence, torch.float64, reuse_samples=reuse_samples)
        assert_near(reference, divergence, TOLERANCE["float32"], reuse_samples=reuse_samples)
        assert_near(reference, divergence, TOLERANCE["bf16"], reuse_samples=reuse_samples, bf16=True)


@pytest.mark.thorough
@hidden_by_the_compiler
@pytest.mark.parametrize("bf16", [pytest.param(False, marks=pytest.mark.slow), True], ids=["float32", "bf16"])
@pytest.mark.parametrize("reuse_samples", [False, True], ids=["fresh", "reused"])
def test_a_compiled_step_is_that_of_float64(reuse_samples, bf16, caplog):
    divergence, tolerance = divergence_of("wgan_gp", "interpolate"), TOLERANCE["bf16" if bf16 else "float32"]
    assert_same_step(divergence, tolerance, reuse_samples=reuse_samples, bf16=bf16, accelerate=compiling)
    assert not said(caplog)


@hidden_by_the_compiler
@pytest.mark.slow
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_every_compiled_step_is_that_of_float64(divergence, penalty, caplog):
    divergence = divergence_of(divergence, penalty)
    for reuse_samples in (False, True):
        assert_same_step(divergence, TOLERANCE["float32"], reuse_samples=reuse_samples, accelerate=compiling)
        assert_same_step(divergence, TOLERANCE["bf16"], reuse_samples=reuse_samples, bf16=True, accelerate=compiling)
    assert not said(caplog)


@needs_cuda
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_captured_step_is_that_of_float64(divergence, penalty, caplog):
    divergence, cuda = divergence_of(divergence, penalty), torch.device("cuda")
    graph = partial(accelerated, "graph", "cuda")
    assert_same_step(divergence, TOLERANCE["float32"], cuda, accelerate=graph)
    assert_same_step(divergence, TOLERANCE["bf16"], cuda, bf16=True, accelerate=graph)
    assert_same_step(divergence, TOLERANCE["float32"], cuda, reuse_samples=True, accelerate=graph)
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        assert_same_step(divergence, TOLERANCE["tf32"], cuda, accelerate=graph)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    assert not said(caplog)


@needs_cuda
def test_a_captured_run_resumes_bit_for_bit(tmp_path):
    changes = ["device=cuda", "device.deterministic=true", "device.accelerate=graph", "train.schedule=cosine"]
    for optimizer in ("adam", "rmsprop", "sgd"):
        assert_resumes_exactly(10, tmp_path / optimizer, *TINY, *changes, f"optimizer={optimizer}")


@pytest.mark.thorough
@hidden_by_the_compiler
@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "bf16"])
def test_a_compiled_run_resumes_bit_for_bit(precision, tmp_path):
    changes = ["device.accelerate=compile", f"device.precision={precision}", "divergence=wgan_gp"]
    changes += ["train.reuse_samples=true"]
    assert_resumes_exactly(5, tmp_path, *TINY, *changes)


def test_bfloat16_resumes_bit_for_bit(tmp_path):
    changes = ["device.precision=bf16", "divergence=relativistic", "divergence/penalty=r1_r2"]
    assert_resumes_exactly(10, tmp_path, *TINY, *changes)


class Unreadable(Wasserstein):
    """Its estimate leaves the device, which a compiler that takes a function whole refuses."""

    def estimate(self, real, fake):
        return super().estimate(real, fake) * (1.0 if real.mean().item() < math.inf else 0.0)


def test_what_cannot_be_compiled_runs_without_it_and_one_line_says_why(caplog):
    made = []

    def accelerate(state, game, scheduling):
        made.append(accelerated("compile", "cpu", state, game, scheduling))
        return made[0]

    expected, _ = trained(Unreadable())
    found, _ = trained(Unreadable(), accelerate=accelerate)
    assert torch.equal(found, expected)
    assert made[0].mode == "eager"
    (line,) = said(caplog)
    assert line.startswith("the step cannot be compiled and goes on without: ")
    assert "\n" not in line


def test_the_reason_is_the_cause_and_not_the_heading_above_it(caplog, monkeypatch):
    def failing(*arguments):
        raise RuntimeError("backend='inductor' raised:\n\nInvalidCxxCompiler: no g++ found\n\nmore about it")

    monkeypatch.setattr(torch, "compile", lambda *arguments, **options: failing)
    trained(Wasserstein(), accelerate=compiling)
    assert said(caplog) == ["the step cannot be compiled and goes on without: InvalidCxxCompiler: no g++ found"]


@pytest.mark.parametrize(
    ("requested", "device", "steps", "deterministic", "chosen", "reason"),
    [
        ("auto", "cpu", 10**9, False, "eager", "may gain on the CPU"),
        ("graph", "cpu", 10**9, False, "eager", "needs CUDA"),
        ("compile", "cpu", 1, False, "compile", ""),
        ("eager", "cuda", 10**9, False, "eager", ""),
        ("auto", "cuda", 99, False, "eager", "train.steps=99 are too few"),
        ("auto", "cuda", 100, False, "graph", "too few for compilation"),
        ("auto", "cuda", 20_000, False, "compile", "pays back"),
        ("auto", "cuda", 20_000, True, "graph", "deterministic"),
        ("graph", "cuda", 1, False, "graph", ""),
    ],
)
def test_what_pays_back_is_chosen(requested, device, steps, deterministic, chosen, reason):
    choice, why = choose_mode(requested, torch.device(device), steps, deterministic)
    assert choice == chosen
    assert reason in why


@pytest.mark.parametrize(
    ("requested", "has", "chosen", "reason", "warned"),
    [
        ("float32", True, "float32", "", False),
        ("bf16", True, "bf16", "", False),
        ("bf16", False, "bf16", "", True),
        ("tf32", True, "float32", "needs CUDA", False),
        ("auto", True, "bf16", "computes in bfloat16", False),
        ("auto", False, "float32", "does not compute in bfloat16", False),
    ],
)
def test_a_precision_is_obeyed_and_auto_goes_by_the_processor(
    requested, has, chosen, reason, warned, monkeypatch, caplog
):
    monkeypatch.setattr("gan_cli.training.precision.has_bf16", lambda device: has)
    choice, why = choose_precision(requested, CPU)
    assert choice == chosen
    assert reason in why
    assert bool(why) == bool(reason)
    assert [("slower than float32" in line) for line in said(caplog)] == [True] * warned


def test_a_processor_says_the_same_of_itself_every_time():
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else pytest.skip("not Linux")
    assert has_bf16(CPU) == any(flag in ("avx512_bf16", "amx_bf16", "bf16") for flag in flags)


CPU_DEVICE = Device(kind="cpu", threads=None, deterministic=False, precision="bf16", accelerate="compile")


def planned(settings=CPU_DEVICE, before=None):
    return plan(settings, CPU, operations=1, steps=10, before=before, data="")


def test_a_run_goes_on_as_it_began():
    began = Plan("cpu", 3, "eager", "float32")
    assert replace(planned(before=began), reasons=()) == began
    assert planned(replace(CPU_DEVICE, threads=2), began).threads == 2
    assert "precision: float32, all as before" in planned(before=began).reasons


def test_what_another_kind_of_device_chose_is_chosen_anew():
    assert planned(before=Plan("cuda", 16, "graph", "tf32")) == planned()
    assert replace(planned(), reasons=()) == Plan("cpu", 1, "compile", "bf16")


def test_the_threads_of_a_plan_are_set_with_the_job(monkeypatch):
    chosen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    assemble(compose(*TINY), Plan("cpu", 3, "eager", "float32"))
    assert chosen[-1] == 3


@pytest.mark.parametrize(("mode", "kind"), [("eager", EagerIteration), ("compile", CompiledIteration)])
def test_each_mode_has_its_iteration(mode, kind):
    state = new_state()
    game = Game(state.generator, state.critic, Wasserstein())
    iterate = Plan("cpu", torch.get_num_threads(), mode, "float32").iteration(state, game, Scheduling())
    assert isinstance(iterate, kind)
    assert iterate.mode == mode


class Steps(Schedule):
    """1 at the first step, 2 at the second."""

    def at(self, progress):
        return progress.step + 1.0


@hidden_by_the_compiler
@pytest.mark.parametrize("how", ["eager", "compiled", "captured"])
def test_a_penalty_whose_weight_changes_is_followed(how, request):
    """Beside the same run with a penalty of each step's own weight."""
    expected = new_state()
    for step in range(STEPS):
        game = Game(expected.generator, expected.critic, Wasserstein(penalty=Interpolate(step + 1.0)))
        deque(train(expected, game, batches(RING, 16, 0, CPU), steps=step + 1, seed=0), maxlen=0)
    state = new_state()
    game = Game(state.generator, state.critic, Wasserstein(penalty=Interpolate(Steps())))
    if how == "captured":
        accelerate, _ = request.getfixturevalue("graphs")
        iterate = accelerate(state, game, Scheduling())
    else:
        iterate = CompiledIteration(state, game) if how == "compiled" else None
    list(train(state, game, batches(RING, 16, 0, CPU), steps=STEPS, seed=0, iterate=iterate))
    torch.testing.assert_close(weights(state), weights(expected), rtol=0, atol=0 if how == "eager" else 1e-5)


@pytest.mark.thorough
@hidden_by_the_compiler
@pytest.mark.parametrize("how", ["compiled", "captured"])
@pytest.mark.parametrize("led", ["by a schedule", "by the critic"])
def test_an_augmentation_whose_probability_changes_is_followed(how, led, request):
    """Beside eager steps, under a penalty that differentiates through it."""

    def finished(accelerate=None):
        torch.manual_seed(0)
        generator = mlp.Generator((3, 8, 8), 4, "normal", [16], "tanh", "none")
        critic = mlp.Critic((3, 8, 8), [16], "tanh", "none")
        sgd = partial(torch.optim.SGD, lr=0.02, fused=True)
        of_generator, of_critic = sgd(generator.parameters()), sgd(critic.parameters())
        adaptive = Adaptive(target=0.1, images=64)
        state = TrainState(generator, critic, averaged_copy(generator), of_generator, of_critic, augmentation=adaptive)
        changing = DiffAugment(Linear(0.0, 1.0, None) if led == "by a schedule" else adaptive, True, True, True, 0.0)
        game = Game(generator, critic, Wasserstein(penalty=Interpolate(1.0)), changing)
        images = Images(torch.randint(256, (32, 3, 8, 8), dtype=torch.uint8))
        iterate = accelerate and accelerate(state, game, Scheduling())
        terms = list(train(state, game, batches(images, 16, 0, CPU), steps=STEPS, seed=0, iterate=iterate))
        assert iterate is None or iterate.mode != "eager"
        return weights(state), [term["augmentation_probability"] for term in terms if led == "by the critic"]

    expected, shares = finished()
    assert len(set(map(float, shares))) > 3 or led == "by a schedule"
    found = finished(compiling if how == "compiled" else request.getfixturevalue("graphs")[0])
    torch.testing.assert_close(found, (expected, shares), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "x",
        {},
        {"device": "cpu", "threads": 1, "accelerate": "bogus", "precision": "float32"},
        {"device": "cpu", "threads": 0, "accelerate": "eager", "precision": "float32"},
        {"device": "cpu", "threads": 10**8, "accelerate": "eager", "precision": "float32"},
        {"device": "cpu", "threads": "2", "accelerate": "eager", "precision": "float32"},
    ],
)
def test_a_record_that_says_nothing_usable_is_none(entry):
    assert Plan.recorded(entry) is None
    assert Plan.recorded(Plan("cpu", 1, "eager", "bf16").record("eager")) == Plan("cpu", 1, "eager", "bf16")


class Graph:
    """A graph of the CPU: it executes nothing when it is captured, and an iteration when it is replayed."""

    def __init__(self):
        self.replays = 0
        self.iteration: CapturedIteration

    def replay(self):
        self.replays += 1
        captured = self.iteration
        terms = captured._iterate(captured._real, captured._average_weight)
        captured._values.copy_(torch.stack(list(terms.values())))


@pytest.fixture
def graphs(monkeypatch):
    """Stand-ins for CUDA's streams and graphs; gives what makes a captured iteration, and the graphs made."""
    made = []

    def accelerate(state, game, scheduling):
        iteration = CapturedIteration(state, game, scheduling, EagerIteration(state, game))

        @contextmanager
        def capture(graph, **_):
            before = copy.deepcopy(state.state_dict())
            with torch.random.fork_rng(devices=[]):
                yield
            state.load_state_dict(before)
            graph.iteration = iteration
            made.append(graph)

        monkeypatch.setattr(torch.cuda, "graph", capture)
        return iteration

    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: None)
    return accelerate, made


@pytest.mark.parametrize(("divergence", "penalty"), [("wgan_gp", "interpolate"), ("relativistic", "r1_r2")])
def test_after_some_eager_steps_a_graph_is_replayed_with_new_data_rates_and_weights(
    divergence, penalty, graphs, caplog
):
    accelerate, made = graphs
    assert_same_step(divergence_of(divergence, penalty), TOLERANCE["float32"], accelerate=accelerate)
    assert [graph.replays for graph in made] == [STEPS - acceleration.WARM_UP]
    assert not said(caplog)


def test_each_step_of_a_graph_gives_terms_of_its_own(graphs):
    accelerate, _ = graphs
    runs = [steps_of(new_state(), divergence_of("gan", "none"), **how) for how in ({"accelerate": accelerate}, {})]
    for captured, plain in zip(*runs, strict=True):
        assert list(captured) == list(plain)
        torch.testing.assert_close(torch.stack(list(captured.values())), torch.stack(list(plain.values())))


def test_rates_that_a_graph_cannot_read_end_it_in_one_line(graphs, caplog):
    accelerate, made = graphs
    plain = {"dtype": torch.float64, "accelerate": accelerate}  # whose optimizers are not fused
    expected, way = trained(divergence_of("gan", "none"), torch.float64)
    found, _ = trained(divergence_of("gan", "none"), **plain)
    assert (found - expected).norm().item() / way < 1e-12
    assert [graph.replays for graph in made] == [1]
    (line,) = said(caplog)
    assert line.endswith("an optimizer reads a number that changes, such as its rate, on the host")


@pytest.mark.parametrize("option", ["momentum", "weight_decay"])
def test_another_number_that_changes_ends_a_graph(option, graphs, caplog):
    """No optimizer of torch's takes it from where a graph reads."""
    accelerate, made = graphs
    changing = Scheduling(critic={option: Linear(0.5, 0.0, None)})

    def finished(captured):
        state = new_state()
        game = Game(state.generator, state.critic, divergence_of("gan", "none"))
        iterate = accelerate(state, game, changing) if captured else None
        list(train(state, game, batches(RING, 16, 0, CPU), steps=STEPS, seed=0, scheduling=changing, iterate=iterate))
        return weights(state)

    torch.testing.assert_close(finished(captured=True), finished(captured=False), rtol=0, atol=1e-6)
    assert [graph.replays for graph in made] == [1]
    assert said(caplog)[-1].endswith("an optimizer reads a number that changes, such as its rate, on the host")


class Waiting(Wasserstein):
    """It waits for the device, as torch says it of `item`."""

    def estimate(self, real, fake):
        warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)
        return super().estimate(real, fake)


class Counting(torch.optim.SGD):
    """It counts its steps on the host."""

    def step(self, closure=None):
        super().step()
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["count"] = self.state[parameter].get("count", 0) + 1


def test_a_step_that_waits_for_the_device_is_not_captured(graphs, caplog):
    accelerate, made = graphs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as on a GPU, where torch says nothing of it unless asked
        expected, _ = trained(Waiting())
        found, _ = trained(Waiting(), accelerate=accelerate)
    assert torch.equal(found, expected)
    assert not made
    assert said(caplog) == ["the step cannot be captured and goes on without: an operation waits for the device"]


def test_an_optimizer_that_counts_on_the_host_is_not_captured(graphs, caplog):
    accelerate, made = graphs

    def finished(**execution):
        state = new_state()
        state.critic_optimizer = Counting(state.critic.parameters(), lr=1e-2)
        steps_of(state, divergence_of("gan", "none"), **execution)
        return state.fingerprint()

    assert finished(accelerate=accelerate) == finished()
    assert not made
    (line,) = said(caplog)
    assert line.endswith("an optimizer that is neither fused nor capturable counts its steps on the host")


@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize(
    ("mode", "divergence", "steps", "left"),
    [("graph", Waiting(), 4, "eager"), ("compile", Unreadable(), 3, "graph")],
)
def test_a_run_remembers_what_is_left_of_its_acceleration(mode, divergence, steps, left):
    made = []

    def accelerate(state, game, scheduling):
        made.append(Plan("cuda", 1, mode, "float32").iteration(state, game, scheduling))
        return made[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps_of(new_state(), divergence, accelerate, steps=steps)
    assert made[0].mode == left
    assert Plan("cuda", 1, mode, "float32").record(made[0].mode)["accelerate"] == left


@pytest.mark.parametrize(
    ("operations", "given", "threads"),
    [(1e6, None, 1), (99e6, None, 1), (100e6, None, 2), (1e12, None, 4), (1e12, 3, 3)],
)
def test_threads_follow_the_work(operations, given, threads, monkeypatch):
    monkeypatch.setattr("gan_cli.training.device.DEFAULT_THREADS", 4)
    chosen, _ = Device(kind="cpu", threads=given, deterministic=False).threads_for(int(operations))
    assert chosen == threads


def test_tf32_is_off_unless_asked_for():
    asked = Device(kind="cpu", threads=1, deterministic=False, precision="tf32")
    for device, allowed in ((asked, True), (replace(asked, precision="float32"), False)):
        device.activate()
        assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is allowed
