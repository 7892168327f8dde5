"""What guarding costs: seconds of each decoder over plain sampling of as many tokens, in one run.

    python tests/benchmarks/bench_decoding.py [--rows 32] [--length 24] [--width 8] [--repeat 2]

The peer forks the prompt into N rows and samples N x length tokens in one batch with the same
transformer and key-value cache, without costs, beams or budgets. Responses end at a token that
hardly occurs, so that every method makes N x length tokens. A
certified response that left its budget would stop the run. Runs alternate; medians and the
spread of the ratios are printed, never a verdict on time. Times of the parts are of the last run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import numpy as np
import torch

from ig_theory.constraint import BudgetConstraint
from llm_bridge.costs.patterns import TokenCosts
from llm_bridge.decoding.args import Args
from llm_bridge.decoding.baselines import beam_search, best_of_n
from llm_bridge.decoding.certified import certified_inference_guard
from llm_bridge.decoding.decoder import Decoder, decode
from llm_bridge.decoding.inference_guard import inference_guard
from llm_bridge.decoding.live import LiveWorld
from llm_bridge.decoding.twists import re_control
from llm_bridge.language_model import LanguageModel
from llm_bridge.rewards import LogLikelihood

PARTS = ("transformer", "head", "sampling", "reorder", "cost", "reward", "rest")


def plain(model: LanguageModel, prompt: list[int], rows: int, length: int, seed: int) -> int:
    """Sample rows x length tokens; how many the model has read."""
    generator = torch.Generator().manual_seed(seed)
    head = model.network.get_output_embeddings()
    read = model.start([prompt]).select([0] * rows)
    with torch.inference_mode():
        for step in range(length):
            mass = torch.softmax(head(read.hidden).float(), dim=-1)
            token = torch.multinomial(mass, 1, generator=generator)[:, 0]
            if step + 1 < length:
                read = read.step(token)
    return rows * (length - 1)


def decoders(model: LanguageModel, rows: int, width: int) -> dict[str, Decoder]:
    """Each method, drawing `rows` blocks a round."""
    torch.manual_seed(0)
    value = torch.nn.Sequential(
        torch.nn.Linear(model.setting.hidden_size, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
    )
    weight = torch.nn.Linear(model.setting.hidden_size, 2).weight.detach().numpy()

    def critic(hidden, budget, time):  # an untrained one: what it says costs nothing to know
        score = hidden @ weight.T
        return 1 / (1 + np.exp(-score[:, 0] / 1e3)) + 0.5, score[:, 1]

    keep = max(1, rows // 4)
    guard = {"blocks": rows, "width": width, "keep": keep, "shared": True}
    return {
        f"best of {rows}": best_of_n(rows),
        "beam search": beam_search(**guard),
        "inference guard": inference_guard(**guard),
        "inference guard + critic": inference_guard(**guard, critic=critic),
        "certified": certified_inference_guard(**guard),
        "certified + critic": certified_inference_guard(**guard, critic=critic),
        "ARGS (1 row)": Args(),
        "RE-Control (1 row)": re_control(model, value),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("rows", 32), ("length", 24), ("width", 8), ("repeat", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = LanguageModel.load()
    rare = 3  # a token for repository names
    model.network.config.eos_token_id = rare
    prompt = model.chat("Tell me about rivers in three sentences.")
    cost = TokenCosts({model.encode(word)[0]: 1 for word in (" the", " water", " a", " of")})
    budget = BudgetConstraint(given.length // 8)
    print(f"{model.setting}\n{given}; prompt of {len(prompt)} tokens; budget {budget.budget}")
    methods = decoders(model, given.rows, given.width)
    spent: dict[str, list[float]] = {name: [] for name in methods}
    peers: dict[str, list[float]] = {name: [] for name in methods}
    parts: dict[str, dict[str, float]] = {}
    plain(model, prompt, given.rows, 4, 0)
    for turn in range(given.repeat):
        for name, method in methods.items():
            rows = 1 if "1 row" in name else given.rows

            began = time.perf_counter()
            plain(model, prompt, rows, given.length, turn)
            middle = time.perf_counter()
            world = LiveWorld(
                model, prompt, budget, given.length, cost, LogLikelihood(),
                np.random.default_rng(turn),
            )  # fmt: skip
            answer = decode(method, world)
            peers[name].append(middle - began)
            spent[name].append(time.perf_counter() - middle)
            if name.startswith("certified") and not answer.kept:
                raise SystemExit(f"{name} left its budget")
            found = world.breakdown
            found["rest"] = spent[name][-1] - sum(found.values())
            found["read"], found["retries"] = float(world.forwarded), answer.retries
            parts[name] = found
    print(f"\n{'method':26s} {'s':>7s} {'plain s':>8s} {'ratio':>6s} {'less cost':>9s}  spread   "
          + "  ".join(f"{part:>11s}" for part in PARTS) + "  tokens read  retries")  # fmt: skip
    for name in methods:
        mine, other = statistics.median(spent[name]), statistics.median(peers[name])
        less = mine - parts[name]["cost"]
        ratios = [a / b for a, b in zip(spent[name], peers[name], strict=True)]
        share = "  ".join(f"{parts[name][part] / spent[name][-1]:11.1%}" for part in PARTS)
        print(f"{name:26s} {mine:7.2f} {other:8.2f} {mine / other:6.2f} {less / other:9.2f}  "
              f"{min(ratios):.2f}-{max(ratios):.2f}  {share}  {parts[name]['read']:11.0f}"
              f"  {parts[name]['retries']:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
