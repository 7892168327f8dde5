"""Does this guard keep this model within its safety budget almost surely? Exactly."""
