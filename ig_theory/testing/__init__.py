"""Tools for testing guards: Hypothesis strategies, planted faults."""
