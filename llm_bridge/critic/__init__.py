"""The critic of InferenceGuard: trained on base rollouts, compared with the exact f1 and f2."""

from llm_bridge.critic.command import train_and_save
from llm_bridge.critic.compare import Comparison, compare, filtered_violation
from llm_bridge.critic.data import Rows, critic_rows, exact_rows, value_rows
from llm_bridge.critic.exact import ExactCritic, exact_critic
from llm_bridge.critic.network import Critic, CriticConfig, ValueNet
from llm_bridge.critic.rollouts import Rollouts, sample_rollouts, verify_latents, walk_rollouts
from llm_bridge.critic.storage import load_critic, load_value, save
from llm_bridge.critic.train import Trained, TrainOptions, train_critic, train_value

__all__ = [
    "Comparison",
    "Critic",
    "CriticConfig",
    "ExactCritic",
    "Rollouts",
    "Rows",
    "TrainOptions",
    "Trained",
    "ValueNet",
    "compare",
    "critic_rows",
    "exact_critic",
    "exact_rows",
    "filtered_violation",
    "load_critic",
    "load_value",
    "sample_rollouts",
    "save",
    "train_and_save",
    "train_critic",
    "train_value",
    "value_rows",
    "verify_latents",
    "walk_rollouts",
]
