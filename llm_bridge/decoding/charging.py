"""What steps cost and earn while responses are being made; everything foreign is checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_bridge.costs.quantise import LARGEST
from llm_bridge.costs.steps import CostModel, Reward, Steps
from llm_bridge.decoding.foreign import asked
from llm_bridge.decoding.problem import Beam, DecodingFault, Problem
from llm_bridge.language_model import LanguageModel, Prefixes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Charger:
    """Asks a cost model and a reward about the steps of one prompt's responses."""

    def __init__(
        self,
        model: LanguageModel,
        prompt: tuple[int, ...],
        problem: Problem,
        cost: CostModel,
        reward: Reward | None,
    ) -> None:
        self.model, self.prompt, self.problem = model, prompt, problem
        self._cost, self._reward = cost, reward
        self.latent = bool(cost.uses_hidden or (reward is not None and reward.uses_hidden))
        """Whether latents of the new tokens are needed."""
        self.cost_seconds = self.reward_seconds = 0.0

    def begin(self, beams: Sequence[Beam], width: int) -> Work:
        """Rows that are about to grow by up to `width` tokens."""
        return Work(self, beams, width)

    def cost(self, steps: Steps) -> Ints:
        """Costs in units.

        Raises
        ------
        DecodingFault
            If the cost model raises, returns anything but one whole number of at most `LARGEST`
            units for each row, or a number below zero although it says that it never does.
        """
        began = time.perf_counter()
        try:
            found = np.asarray(self._cost(steps))
        except Exception as error:  # foreign code: whatever it raises is a fault
            raise DecodingFault.at(
                f"cost model {self._cost.name}", "a cost of each step",
                f"{type(error).__name__}: {error}", "repair it",
            ) from error  # fmt: skip
        finally:
            self.cost_seconds += time.perf_counter() - began
        if found.shape != (len(steps),) or found.dtype.kind not in "iu":
            raise DecodingFault.at(
                f"cost model {self._cost.name}", f"one whole number for each of {len(steps)} rows",
                f"{found.dtype}{list(found.shape)}", "return multiples of its unit",
            )  # fmt: skip
        low = 0 if getattr(self._cost, "nonnegative", False) else -LARGEST
        bad = (found < low) | (found > LARGEST)  # before int64 or a sum could wrap around
        if bad.any():
            raise DecodingFault.at(
                f"cost model {self._cost.name}", f"costs from {low} to {LARGEST} units",
                int(found[bad][0]), "choose a larger unit, or repair it",
            )  # fmt: skip
        return found.astype(np.int64)

    def reward(self, steps: Steps) -> Floats:
        """Rewards, 0 without a reward model.

        Raises
        ------
        DecodingFault
            If it raises, or returns anything but finite numbers.
        """
        if self._reward is None:
            return np.zeros(len(steps))
        began = time.perf_counter()
        try:
            found = self._reward(steps)
        except Exception as error:  # foreign code: whatever it raises is a fault
            raise DecodingFault.at(
                f"reward {self._reward.name}", "a reward of each step",
                f"{type(error).__name__}: {error}", "repair it",
            ) from error  # fmt: skip
        finally:
            self.reward_seconds += time.perf_counter() - began
        return asked(f"reward {self._reward.name}", found, len(steps))


class Work:
    """Rows that grow together; those that have ended are no longer active."""

    def __init__(self, charger: Charger, beams: Sequence[Beam], width: int) -> None:
        self._charger, self._beams = charger, beams
        count, start = len(beams), len(beams[0]) if beams else 0
        self.active: Ints = np.arange(count)
        self._start = start
        self._tokens = np.zeros((count, start + width), dtype=np.int64)
        for row, beam in enumerate(beams):
            self._tokens[row, :start] = beam.tokens
        self._length = np.zeros(count, dtype=np.int64)
        self._costs = np.zeros((count, width), dtype=np.int64)
        self._rewards, self._scores = np.zeros((count, width)), np.zeros((count, width))
        self._paid = np.array([beam.paid for beam in beams], dtype=np.int64)
        self._gained = np.array([beam.gained for beam in beams], dtype=np.float64)

    def charge(
        self, token: Ints, score: Floats, ends: NDArray[np.bool_], read: Prefixes | None
    ) -> None:
        """The next token of each active row; `read` holds their latents if these are needed."""
        rows, step = self.active, int(self._length[self.active[0]])
        self._tokens[rows, self._start + step] = token
        self._length[rows] += 1
        said = self._tokens[rows, : self._start + step + 1]
        common: dict[str, Any] = {
            "prompt": self._charger.prompt, "tokens": said, "ended": ends, "log_prob": score,
            "hidden": None if read is None else _numbers(read.hidden),
            "summed": None if read is None else _numbers(read.summed),
            "text": lambda row: self._charger.model.text(said[row].tolist()),
        }  # fmt: skip
        cost = self._charger.cost(Steps(**common, paid=self._paid[rows]))
        worth = self._charger.reward(Steps(**common, gained=self._gained[rows]))
        self._costs[rows, step], self._rewards[rows, step] = cost, worth
        self._scores[rows, step] = score
        self._paid[rows] += cost
        self._gained[rows] += worth
        self.active = rows[~ends]

    def beams(self) -> list[Beam]:
        """Every row as a beam."""
        extend, found = self._charger.problem.extend, []
        for row, beam in enumerate(self._beams):
            n = int(self._length[row])
            block = self._tokens[row, self._start : self._start + n].tolist()
            found.append(
                extend(
                    beam, block, self._costs[row, :n].tolist(), self._rewards[row, :n].tolist(),
                    self._scores[row, :n].tolist(),
                )
            )  # fmt: skip
        return found


def _numbers(tensor: Any) -> Any:
    """As Steps has them; float64 models keep their digits, as in a tree."""
    kept = tensor if str(tensor.dtype) == "torch.float64" else tensor.float()
    return kept.cpu().numpy()
