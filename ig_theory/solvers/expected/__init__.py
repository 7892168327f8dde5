"""What solvers of expected-cost constraints share."""
