"""What solvers that trade reward for violations or for spending share."""
