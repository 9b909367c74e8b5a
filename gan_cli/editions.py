"""Editions of the step: what it computes may change from one version to the next, but not within a run.

1. A stream that is drawn on the CPU takes 32 bits of its seed, so two of n are the same with probability n²/2³³. A
   frozen generator runs in training mode: its samples depend on their batch, and the running statistics of its batch
   norms and the power iterations of its spectral norms move.
2. A stream takes its whole name. A frozen generator runs in evaluation mode, as metrics and pictures see it, and
   nothing in it moves.

run.json says which edition a run began with; one that does not say is of the first.
"""

NEWEST = 2
