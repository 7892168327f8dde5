"""Best totals without a constraint on them: on safe products and on states, and at the start."""
