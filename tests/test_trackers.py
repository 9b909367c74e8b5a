"""What trackers keep of a run, read back from their files."""

import pytest

from gan_cli.trackers import TensorBoard
from tests.helpers.configs import TINY
from tests.helpers.runs import metrics, train

pytest.importorskip("tensorboard")


def scalars(folder):
    """The steps and values that the event files of a run hold, by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in names}


def test_tensorboard_has_every_number_of_every_line(tmp_path):
    for steps in (4, 6):
        train(tmp_path / "run", *TINY, "tracker=tensorboard", f"train.steps={steps}", "every.log=2")
    lines = metrics(tmp_path / "run")
    kept = scalars(tmp_path / "run")
    assert kept.keys() == lines[0].keys()
    for name, events in kept.items():
        assert [step for step, _ in events] == [2, 4, 6]
        assert [value for _, value in events] == pytest.approx([line[name] for line in lines], rel=1e-6)


def test_tensorboard_forgets_what_a_run_that_goes_on_does_again(tmp_path):
    tracker = TensorBoard()
    for first, lines in ((0, {2: 0.5, 4: 0.25, 6: 9.0}), (4, {6: 0.125})):
        tracker.open(tmp_path, first)
        for step, value in lines.items():
            tracker.log(step, {"estimate": value})
        tracker.close()
    assert scalars(tmp_path) == {"estimate": [(2, 0.5), (4, 0.25), (6, 0.125)]}
