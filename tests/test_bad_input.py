"""Whatever the user gets wrong ends in one line and exit code 2, before any training and with nothing written."""

import hashlib
import pickle
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.config import options
from gan_cli.training import loop
from tests.helpers.configs import TINY
from tests.helpers.runs import train, tree

RING = "dataset=ring"
RUN = " ".join([*TINY, "train.steps=8"])
SAMPLE = "--out new.png"
FEW = "dataset=mnist5k augmentation=diffaugment"
ADAPTIVE = "dataset=mnist5k augmentation=adaptive augmentation.probability"
STEP_4 = "checkpoints/step-0000004.pt"


def choices(group: str) -> str:
    return f"choose one of {', '.join(options.names(group))}"


# The command, and two fragments of the line that answers it: what is wrong, and the remedy.
TRAINING = [
    # Unknown options and keys
    ("divergence=wgan_pg", "divergence=wgan_pg is not an option", "did you mean wgan_lp?"),
    ("divergence/penalty=zz", "divergence/penalty=zz is not an option", choices("divergence/penalty")),
    ("device=[1]", "device=[1] names no option of device", choices("device")),
    ("model=[null]", "model=[null] names no option of model", choices("model")),
    ("+scale=null", "+scale=null names no option of scale", choices("scale")),
    ("experiment=cifar10 scale=true", "scale=true names no option of scale", choices("scale")),
    ("divergence/penalty=null", "divergence/penalty=null names no option", choices("divergence/penalty")),
    ("dataset=zz", "dataset=zz is not an option", choices("dataset")),
    ("divergance=kl", "divergance is not a key", "did you mean divergence?"),
    ("sede=1", "sede is not a key", "did you mean seed?"),
    ("train.step=5", "train.step is not a key", "did you mean steps?"),
    ("model.generator.hiden=[16]", "model.generator.hiden is not a key", "did you mean hidden?"),
    ("optimizer.critic.rate=1", "optimizer.critic.rate is not a key", "choose one of betas, eps, fused, lr"),
    (
        "divergence/penalty=none divergence.penalty.weight=1",
        "divergence.penalty.weight is not a key",
        "nothing can be set here",
    ),
    ("+model.generator.hiden=[16]", "model.generator.hiden is not an option of Generator", "did you mean hidden?"),
    ("+train.warmup=3", "train.warmup is not a key", "choose one of average_decay"),
    ("+trian.steps=3", "trian is not a key", "did you mean train?"),
    # Words that are no overrides
    ("train.steps", "train.steps cannot be read as key=value", "Error parsing override"),
    ("train.steps=[", "train.steps=[ cannot be read as key=value", "at input '['"),
    ("divergence=kl,js", "divergence=kl,js", "add --multirun"),
    ("divergence=kl:link=paper", "is more than one override", "write divergence=kl divergence.link=paper"),
    ("divergence/penalty=r1:weight=1", "is more than one", "write divergence/penalty=r1 divergence.penalty.weight=1"),
    ("divergence=kl:link=paper:critic_steps=2", "is more than one", "divergence.link=paper divergence.critic_steps=2"),
    ("train.average_decay=half_life:images=9", "needs quotes", """write 'train.average_decay="half_life:images=9"'"""),
    ("name=a:b=c", "name=a:b=c cannot be read as key=value", "mismatched input"),
    ("+divergence=js", "divergence has an option already", "write divergence=js without a plus"),
    (
        "+divergence/penalty=r1",
        "divergence/penalty has an option already",
        "write divergence/penalty=r1 without a plus",
    ),
    ("'name=${nope}'", "name=${nope} refers to nothing", "'nope' not found"),
    # Wrong types
    ("train.steps=many", "train.steps=many", "must be a whole number"),
    ("train.steps=1.5", "train.steps=1.5", "must be a whole number"),
    ("train.steps=1e3", "train.steps=1e3", "must be a whole number"),
    *(
        (f"{key}=null", f"{key}=null is no value", f"set {key}=…, or leave it out for its default")
        for key in ("train", "train.steps", "train.batch_size", "train.generator", "seed", "name", "every.log")
    ),
    ("train.schedule=sinus", "train.schedule=sinus", "choose one of constant, cosine"),
    ("scale=huge", "scale=huge is not an option", "choose one of auto, base, cpu, paper, small"),
    *(
        (
            f"dataset=folder dataset.path=texts scale=base dataset.resolution={side}",
            f"dataset.resolution={side} does not tell a penalty the side of the pictures",
            "set it in pixels",
        )
        for side in ("null", "abc")
    ),
    ("train.burn_in=0", "train.burn_in=0", "at least 1 or null"),
    ("optimizer=adam_r3gan optimizer.critic.lr.images=-1", "optimizer.critic.lr.images=-1", "at least 1 or null"),
    ("train.reuse_samples=maybe", "train.reuse_samples", "not a valid bool"),
    ("train.generator=stuck", "train.generator", "one of [trained, frozen]"),
    ("dataset.modes=eight", "dataset.modes=eight", "must be a whole number"),
    ("dataset.modes=null", "dataset.modes=null", "must be a whole number"),
    ("divergence.critic_steps=true", "divergence.critic_steps=True", "must be a whole number"),
    ("model.generator.activation=gelu", "model.generator.activation=gelu", "one of relu, leaky_relu"),
    ("model.generator.latent=gamma", "model.generator.latent=gamma", "one of normal, uniform, mixture"),
    ("model.generator.hidden=16", "model.generator.hidden=16", "must be a list, such as [16]"),
    ("model.critic.hidden=[16,wide]", "model.critic.hidden[1]=wide", "must be a whole number"),
    ("optimizer.generator.betas=[0.5]", "optimizer.generator.betas=[0.5]", "must be a list of 2"),
    ("optimizer.critic.lr=fast", "optimizer.critic.lr=fast", "must be a finite number"),
    # Values out of range
    ("seed=-1", "seed=-1", "at least 0"),
    ("train.steps=0", "train.steps=0", "at least 1"),
    ("train.batch_size=0", "train.batch_size=0", "at least 1"),
    ("train.average_decay=1", "train.average_decay=1", "below 1"),
    ("train.average_decay=-0.1", "train.average_decay=-0.1", "at least 0"),
    ("train.average_decay=nan", "train.average_decay=nan", "must be a finite number"),
    ("every.log=0", "every.log=0", "at least 1"),
    ("every.samples=0", "every.samples=0", "at least 1"),
    ("every.checkpoint=-1", "every.checkpoint=-1", "at least 1"),
    ("every.evaluate=0", "every.evaluate=0", "at least 1"),
    ("every.keep=0", "every.keep=0", "at least 1"),
    ("dataset.deviation=0", "dataset.deviation=0", "above 0"),
    ("dataset=mixture1d dataset.weights=[0.5,0.6]", "dataset.weights=[0.5, 0.6]", "add up to 1"),
    ("model.generator.latent_size=0", "model.generator.latent_size=0", "at least 1"),
    ("model.critic.hidden=[16,0]", "model.critic.hidden[1]=0", "must be at least 1"),
    ("divergence.critic_steps=0", "divergence.critic_steps=0", "at least 1"),
    ("divergence=wgan_clip divergence.clip=nan", "divergence.clip=nan", "must be a finite number"),
    ("divergence=alpha divergence.alpha=1", "divergence.alpha=1", "use divergence=kl"),
    ("divergence=wgan_gp divergence.penalty.weight=-1", "divergence.penalty.weight=-1", "must be at least 0"),
    ("optimizer.generator.lr=-1", "optimizer.generator.lr=-1: ", "Invalid learning rate"),
    ("optimizer.critic.betas=[0.5,1.5]", "optimizer.critic.betas=[0.5, 1.5]: ", "Invalid beta parameter at index 1"),
    ("optimizer.generator.eps=-1", "optimizer.generator.eps=-1: ", "Invalid epsilon"),
    ("optimizer=sgd optimizer.critic.momentum=-1", "optimizer.critic.momentum=-1: ", "Invalid momentum"),
    ("optimizer.critic={lr:-1,eps:-1}", "optimizer.critic: ", "Invalid"),
    ("device.threads=0", "device.threads=0", "at least 1"),
    ("device.workers=0", "device.workers=0", "at least 1"),
    ("device.workers=1000", "device.workers=1000", "at most 256"),
    ("device.precision=fp16", "device.precision=fp16", "one of auto, float32, tf32, bf16"),
    ("device.accelerate=true", "device.accelerate=True", "one of auto, eager, graph, compile"),
    (f"{FEW} augmentation.probability=1.5", "augmentation.probability=1.5", "at most 1"),
    (
        f"{FEW} +schedule@augmentation.probability=linear augmentation.probability.end=2",
        "augmentation.probability=2",
        "at most 1",
    ),
    (f"{ADAPTIVE}.target=1", "augmentation.probability.target=1", "below 1"),
    (f"{ADAPTIVE}.images=0", "augmentation.probability.images=0", "at least 1"),
    ("dataset=mnist5k model=resnet", "model.generator: takes sides of 16, 32, 64 or 128", "dataset.resolution=32"),
    # Missing values
    ("dataset=folder", "dataset.path has no value", "set dataset.path=…"),
    ("train.steps='???'", "train.steps has no value", "set train.steps=…"),
    ("model=null", "model=null", "names no option"),
    ("~model", "model has no value", "choose an option with model=…"),
    # Data
    ("dataset=folder dataset.path=nowhere", "dataset.path=nowhere does not exist", "name the folder"),
    ("dataset=folder dataset.path=file.txt", "dataset.path=file.txt is a file", "name the folder"),
    ("dataset=folder dataset.path=empty", "dataset.path=empty holds nothing", "name what holds images"),
    ("dataset=folder dataset.path=texts", "dataset.path=texts holds no images", "left out: 1 .txt (no image)"),
    (
        "dataset=folder dataset.path=texts dataset.crop=middle",
        "dataset.crop=middle",
        "one of centre, random, none, pad",
    ),
    ("dataset=folder dataset.path=texts dataset.split=dev", "dataset.split=dev", "one of train, test or null"),
    ("dataset=folder dataset.path=texts dataset.white=0", "dataset.white=0", "at least 1"),
    ("dataset=folder dataset.path=a&b", "dataset.path=a&b cannot be read", """write 'dataset.path="a&b"'"""),
    ("dataset=folder dataset.path=~/é", "dataset.path=~/é cannot be read", """write 'dataset.path="~/é"'"""),
    ("dataset=folder dataset.path=truncated", "truncated/bad.png", "dataset.on_bad_image=skip"),
    ("dataset=folder dataset.path=texts dataset.channels=2", "dataset.channels=2", "1 (grey), 3 (colour) or null"),
    ("dataset=mnist dataset.root=idx", "idx/train-images-idx3-ubyte", "choose another dataset.root"),
    ("dataset=array", "dataset.path has no value", "set dataset.path=…"),
    ("dataset=array dataset.path=nowhere.npy", "dataset.path=nowhere.npy does not exist", "name a .npy"),
    ("dataset=array dataset.path=points.csv", "points.csv is a table of points", "choose dataset=points"),
    ("dataset=array dataset.path=objects.npy", "objects.npy holds Python objects", "save one array of numbers"),
    ("dataset=points dataset.path=file.txt", "dataset.path=file.txt has names of columns", "write a point a line"),
    ("dataset=points dataset.path=points.csv", "line 2, column kind: 'cat' is no number", "dataset.labels=…"),
    ("dataset=points dataset.path=points.csv dataset.labels=knd", "dataset.labels=knd", "did you mean kind?"),
    ("dataset=torchvision dataset.name=CIFR10", "dataset.name=CIFR10", "did you mean CIFAR10?"),
    ("dataset=torchvision dataset.name=MNIST", "dataset.name=MNIST", "choose dataset=mnist"),
    ("dataset=torchvision dataset.channels=2", "dataset.channels=2", "or null"),
    ("dataset=torchvision dataset.name=EMNIST", "dataset.name=EMNIST has variants", "EMNIST-letters"),
    ("dataset=torchvision dataset.name=CelebA", "dataset.name=CelebA", "choose dataset=torchvision_images"),
    ("dataset=torchvision_images dataset.name=Flower102", "dataset.name=Flower102", "did you mean Flowers102?"),
    ("dataset=torchvision_images dataset.name=DTD dataset.attribute=Young", "dataset.attribute=Young", "leave it out"),
    ("dataset=torchvision_images dataset.name=EuroSAT dataset.split=test", "dataset.split=test", "leave it out"),
    ("train.packing=0", "train.packing=0", "at least 1"),
    ("train.packing=3", "train.batch_size=32 must be a multiple of train.packing=3", "train.batch_size"),
    ("dataset=mnist5k train.batch_size=5001", "train.batch_size=5001 is larger", "choose 5000 or less"),
    # Parts that do not fit together
    (f"{RING} augmentation=diffaugment", "the diffaugment augmentation takes images", "choose augmentation=none"),
    (f"{RING} augmentation=adaptive", "the diffaugment augmentation takes images", "choose augmentation=none"),
    (f"{RING} model=dcgan", "model.generator: takes square images", "choose model=mlp"),
    ("dataset=mnist5k dataset.resolution=30", "not 30", "choose another dataset.resolution"),
    (f"{RING} model.generator.normalization=instance", "model.generator.normalization=instance", "use layer"),
    (
        f"{RING} divergence=wgan_gp model.critic.normalization=batch",
        "model.critic.normalization=batch",
        "use layer, spectral or none, or divergence/penalty=none",
    ),
    ("dataset=swiss_roll metric=[modes]", "metric.modes", "choose dataset=gaussian, grid, mixture1d or ring"),
    # Targets that are not of the kind
    ("divergence._target_=os.system", "divergence._target_=os.system is not", "choose an option"),
    ("dataset._target_=subprocess.Popen", "dataset._target_=subprocess.Popen is not", "choose an option"),
    (
        "model.critic._target_=gan_cli.models.mlp.Generator",
        "model.critic._target_=gan_cli.models.mlp.Generator is not a concrete Critic",
        "choose an option",
    ),
    (
        "divergence.penalty._target_=gan_cli.divergences.penalties.Penalty",
        "divergence.penalty._target_=gan_cli.divergences.penalties.Penalty is not a concrete Penalty",
        "choose an option",
    ),
    ("divergence._target_=nowhere.Thing", "divergence._target_=nowhere.Thing is not found", "PYTHONPATH"),
    # Places that cannot be written
    (f"{RING} outputs=file.txt", "file.txt", "choose another outputs=…"),
    (f"{RING} outputs=file.txt/below", "file.txt/below", "choose another outputs=…"),
    (f"{RING} outputs=/proc/gan", "/proc/gan", "choose another outputs=…"),
    (f"{RING} name={'x' * 300}", "File name too long", "choose another name=…"),
    (f"{RING} name=../elsewhere", "name=../elsewhere", "set outputs=…"),
    (f"{RING} name=/elsewhere", "name=/elsewhere", "set outputs=…"),
    (f"{RING} name=sweeps/mine", "name=sweeps/mine", "set outputs=…"),
    (f"{RING} name=", "name=", "set outputs=…"),
    (f"{RING} name=notes", "outputs/notes holds files that are not a run's", "choose another name=…"),
    # Runs that cannot be continued
    (f"{RUN} name=good seed=1", "outputs/good was trained with another config: seed=0 (now 1)", "restore"),
    (f"{RUN} name=other_model", f"outputs/other_model/{STEP_4} belongs to another model", "remove it"),
    (f"{RUN} name=no_run", f"outputs/no_run/{STEP_4} is not a checkpoint of a run", "remove it"),
    (f"{RUN} name=pickled", f"outputs/pickled/{STEP_4} is not a checkpoint of tensors alone", "remove it"),
    (f"{RUN} name=bare_pickle", f"outputs/bare_pickle/{STEP_4} is not a checkpoint of tensors alone", "remove it"),
    (f"{RUN} name=damaged", f"outputs/damaged/{STEP_4} is damaged", "choose another name=…"),
    (f"{RUN} name=no_digest", f"outputs/no_digest/{STEP_4} or its .sha256", "choose another name=…"),
    (f"{RUN} name=bad_yaml", "outputs/bad_yaml/.hydra/config.yaml is damaged", "choose another run"),
    (f"{RUN} name=list_yaml", "outputs/list_yaml/.hydra/config.yaml is damaged", "choose another run"),
    (f"{RUN} name=binary_yaml", "outputs/binary_yaml/.hydra/config.yaml is damaged", "choose another run"),
]

SAMPLING = [
    (f"outputs/good {SAMPLE} --seed -1", "--seed -1", "at least 0"),
    ("outputs/good --out outputs/good/samples.png", "--out outputs/good/samples.png is where a run", "another place"),
    ("outputs/good --out outputs/good/real.png", "real.png is where a run", "another place"),
    ("outputs/good --out outputs/good/neighbours.png", "neighbours.png is where a run", "another place"),
    ("outputs/good --out outputs/good/curves.png", "--out outputs/good/curves.png is where a run", "another place"),
    ("outputs/good --out outputs/wider/samples/a.npy", "--out outputs/wider/samples/a.npy is", "another place"),
    ("outputs/good --out texts/../outputs/good/.hydra/a.npy", ".hydra/a.npy is where a run", "another place"),
    (f"nowhere {SAMPLE}", "nowhere is not the folder of a run", ".hydra/config.yaml"),
    (f"file.txt {SAMPLE}", "file.txt is not the folder of a run", ".hydra/config.yaml"),
    (f"outputs/notes {SAMPLE}", "outputs/notes is not the folder of a run", ".hydra/config.yaml"),
    (f"outputs/no_checkpoint {SAMPLE}", "outputs/no_checkpoint has no checkpoint yet", "every.checkpoint"),
    (f"outputs/good {SAMPLE} --step 3", "outputs/good has no checkpoint of step 3", "only of: 4"),
    (f"outputs/good {SAMPLE} -n 0", "-n 0", "at least 1"),
    (f"outputs/good {SAMPLE} -n many", "argument -n/--n: invalid int value: 'many'", "--help lists the options"),
    (f"outputs/good {SAMPLE} --weights best", "argument --weights: invalid choice: 'best'", "average"),
    ("outputs/good", "required: --out", "--help lists the options"),
    ("outputs/good --out new.jpg", "--out new.jpg", "can be written as .png, .npy"),
    ("outputs/good --out film.gif", "outputs/good/samples holds", "every.samples=…"),
    ("nowhere --out film.gif --film", "nowhere is not the folder of a run", ".hydra/config.yaml"),
    ("outputs/good --out file.txt/new.png", "--out file.txt/new.png cannot be written", "choose another place"),
    (f"outputs/damaged {SAMPLE}", f"outputs/damaged/{STEP_4} is damaged", "it is the only one"),
    (f"outputs/pickled {SAMPLE}", f"outputs/pickled/{STEP_4} is not a checkpoint of tensors alone", "remove it"),
    (f"outputs/other_model {SAMPLE}", f"outputs/other_model/{STEP_4} does not fit the model", ".hydra/config.yaml"),
    (f"outputs/no_record {SAMPLE}", "outputs/no_record/run.json", "the same gan-train command"),
    (f"outputs/bad_record {SAMPLE}", "outputs/bad_record/run.json", "the same gan-train command"),
    (f"outputs/bad_yaml {SAMPLE}", "outputs/bad_yaml/.hydra/config.yaml is damaged", "choose another run"),
]


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.write_text, (self.file, "this code ran")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A folder with everything that the commands of the tables speak of."""
    root = tmp_path_factory.mktemp("workspace")
    (root / "file.txt").write_text("text")
    for name in ("empty", "texts", "truncated", "idx", "outputs/notes"):
        (root / name).mkdir(parents=True)
    (root / "texts" / "a.txt").write_text("text")
    (root / "outputs" / "notes" / "a.txt").write_text("text")
    (root / "idx" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    Image.effect_noise((64, 64), 50).save(root / "truncated" / "bad.png")
    image = (root / "truncated" / "bad.png").read_bytes()
    (root / "truncated" / "bad.png").write_bytes(image[: len(image) // 2])

    (root / "points.csv").write_text("x,y,kind\n1,2,cat\n3,4,dog\n")
    np.save(root / "objects.npy", np.array([Payload(root / "ran")], dtype=object))

    good = train(root / "outputs" / "good", "device=auto", *TINY, "train.steps=4")
    wider = (
        train(root / "outputs" / "wider", "device=auto", *TINY, "train.steps=4", "model.generator.hidden=[24]") / STEP_4
    )

    def copy(name: str) -> Path:
        return shutil.copytree(good, root / "outputs" / name)

    def with_checkpoint(name: str) -> Path:
        return copy(name) / STEP_4

    def signed(path: Path) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")

    other = with_checkpoint("other_model")
    shutil.copyfile(wider, other)
    tensor = with_checkpoint("no_run")
    torch.save([torch.zeros(3)], tensor)
    pickled = with_checkpoint("pickled")
    state = torch.load(good / STEP_4, weights_only=True)
    torch.save(state | {"extra": Payload(root / "ran")}, pickled)
    bare = with_checkpoint("bare_pickle")
    bare.write_bytes(pickle.dumps({"step": 4, "extra": Payload(root / "ran")}))
    for path in (other, tensor, pickled, bare):
        signed(path)

    damaged = with_checkpoint("damaged")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    (copy("no_digest") / f"{STEP_4}.sha256").unlink()
    (copy("bad_yaml") / ".hydra" / "config.yaml").write_text("seed: [0")
    (copy("binary_yaml") / ".hydra" / "config.yaml").write_bytes(b"\xff\xfe\x80")
    (copy("list_yaml") / ".hydra" / "config.yaml").write_text("[0]")
    shutil.rmtree(copy("no_checkpoint") / "checkpoints")
    (copy("no_record") / "run.json").unlink()
    (copy("bad_record") / "run.json").write_text("{")
    return root


def refused(command, arguments, inside, workspace, monkeypatch) -> str:
    """What `command` says in its one line, after all that holds of every refusal."""
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("GAN_CLI_DATA", str(workspace / "data"))
    monkeypatch.setattr(loop, "train", lambda *_, **__: pytest.fail("training began"))
    before = tree(workspace)
    finished = inside(command, *shlex.split(arguments))
    assert tree(workspace) == before
    assert finished.code == 2, finished.err
    assert finished.out == ""
    (line,) = finished.err.splitlines()
    assert line.startswith(f"{command}: ")
    return line


@pytest.mark.parametrize(("arguments", "wrong", "remedy"), TRAINING, ids=[row[0][:60] for row in TRAINING])
def test_gan_train_refuses(arguments, wrong, remedy, inside, workspace, monkeypatch):
    on_ring = arguments if "dataset=" in arguments else f"{RING} {arguments}"
    line = refused("gan-train", on_ring, inside, workspace, monkeypatch)
    assert wrong in line
    assert remedy in line


@pytest.mark.parametrize(("arguments", "wrong", "remedy"), SAMPLING, ids=[row[0][:60] for row in SAMPLING])
def test_gan_sample_refuses(arguments, wrong, remedy, inside, workspace, monkeypatch):
    line = refused("gan-sample", arguments, inside, workspace, monkeypatch)
    assert wrong in line
    assert remedy in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gan_train_refuses_a_device_that_is_not_there(inside, workspace, monkeypatch):
    line = refused("gan-train", f"{RING} device=cuda", inside, workspace, monkeypatch)
    assert "device.kind=cuda" in line
    assert "use device=cpu" in line


def test_gan_sample_refuses_a_folder_that_holds_files(inside, workspace, monkeypatch):
    line = refused("gan-sample", "outputs/good --out texts", inside, workspace, monkeypatch)
    assert "--out texts" in line


def test_the_code_in_the_pickled_checkpoint_would_run_elsewhere(workspace):
    """So that it is no dud that the tables find harmless."""
    torch.load(workspace / "outputs" / "pickled" / STEP_4, weights_only=False)
    assert (workspace / "ran").read_text() == "this code ran"
    (workspace / "ran").unlink()


def test_the_good_run_and_its_command_are_accepted(inside, workspace, monkeypatch):
    """So that it is the mistakes that the tables' commands are refused for."""
    monkeypatch.chdir(workspace)
    assert inside("gan-train", *shlex.split(RUN), "name=good").code == 0
    assert inside("gan-sample", "outputs/good", *shlex.split(SAMPLE)).code == 0
    assert (workspace / "new.png").stat().st_size > 0
