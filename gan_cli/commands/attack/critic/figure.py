"""The pictures of attacks on critics: pushed scores and what passes, and examples with their scores."""

from collections.abc import Mapping, Sequence

from gan_cli.commands.attack.asked import Asked
from gan_cli.commands.attack.critic.results import OfCritic
from gan_cli.commands.attack.drawing import Example, Panel
from gan_cli.commands.attack.drawing import curves as drawn
from gan_cli.commands.attack.drawing import pictured as drawn_examples
from gan_cli.metrics.moved import Judged, Moved, Side
from gan_cli.show import wording

EXAMPLES: Mapping[Side, int] = {"real": 2, "generated": 3}


def curves(results: Sequence[OfCritic]) -> bytes | None:
    """The PNG of movements and of what passes against ε; None without sizes."""
    return drawn(
        results,
        [
            Panel(
                "scores move (gaps between their means)",
                {
                    ", real down": lambda result: result.in_gaps("real"),
                    ", generated up": lambda result: result.in_gaps("generated"),
                },
                is_share=False,
            ),
            Panel("generated above half of the real (%)", {", passed": lambda result: result.passed}),
        ],
    )


def pictured(judged: Judged, found: Mapping[Side, Moved], asked: Asked) -> bytes | None:
    """The PNG of the first samples of each side, with their scores before and after."""
    examples = [
        Example(
            judged.images[side][index].cpu(),
            moved.images[index],
            (f"{side}: {_score(moved.before[index].item())}", _score(moved.after[index].item())),
        )
        for side, moved in found.items()
        for index in range(min(EXAMPLES[side], len(judged)))
    ]
    return drawn_examples(examples, asked.name)


def _score(value: float) -> str:
    return f"score {wording.short(value)}"
