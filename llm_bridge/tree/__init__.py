"""Token trees of language models, and the constrained MDPs that they are."""

from llm_bridge.tree.branching import least_nodes
from llm_bridge.tree.expand import expand
from llm_bridge.tree.latent_mdp import TreeModel, latent_mdp
from llm_bridge.tree.naming import HALT, OTHER
from llm_bridge.tree.tree import TokenTree
from llm_bridge.tree.walk import step_costs, step_rewards

__all__ = [
    "HALT",
    "OTHER",
    "TokenTree",
    "TreeModel",
    "expand",
    "latent_mdp",
    "least_nodes",
    "step_costs",
    "step_rewards",
]
