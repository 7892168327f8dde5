"""``python -m ig_theory`` is ``ig-theory``."""

from ig_theory.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
