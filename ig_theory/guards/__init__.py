"""Guards that need only the theory, and loading any guard by its name."""

from ig_theory.guards.opening import BUILT_IN, open_guard

__all__ = ["BUILT_IN", "open_guard"]
