"""What trackers keep of a run, read back from their files."""

import pytest

from tests.helpers.configs import TINY
from tests.helpers.runs import metrics, train


def test_tensorboard_has_every_number_of_every_line_once(tmp_path):
    """Also of a run that was stopped and went on."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for steps in (4, 6):
        train(tmp_path / "run", *TINY, "tracker=tensorboard", f"train.steps={steps}", "every.log=2")
    lines = metrics(tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(lines[0])
    for name in lines[0]:
        kept = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in kept] == [2, 4, 6]
        assert [value for _, value in kept] == pytest.approx([line[name] for line in lines], rel=1e-6)
