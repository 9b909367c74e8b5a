"""Numbers with a range, for the annotations of constructors: the gate checks them, and nothing else has to."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Count = Annotated[int, Ge(1)]

Positive = Annotated[float, Gt(0)]

NonNegative = Annotated[float, Ge(0)]

Share = Annotated[float, Gt(0), Lt(1)]
"""Neither nothing nor all."""

Portion = Annotated[float, Gt(0), Le(1)]
"""Something, or all."""

Probability = Annotated[float, Ge(0), Le(1)]
"""From never to always."""

Seed = Annotated[int, Ge(0)]
"""Of a random stream."""
