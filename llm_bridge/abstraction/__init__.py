"""Merging the states of a model by their latents, and what that keeps of safety and reward."""

from llm_bridge.abstraction.fibre import (
    FibreSet,
    blind_shield,
    fibre_set,
    fibre_set_of,
    informed_shield,
)
from llm_bridge.abstraction.grouping import Groups
from llm_bridge.abstraction.latent_model import LatentModel, latent_model
from llm_bridge.abstraction.latents import full_cache, last_layer, node_weight, tree_cells
from llm_bridge.abstraction.partition import (
    Partition,
    by_equality,
    by_kmeans,
    by_radius,
    cells_of,
)
from llm_bridge.abstraction.pooling import Pooling
from llm_bridge.abstraction.residual import Offence, Residual, Simulation, residual, simulation
from llm_bridge.abstraction.rewards import LatentBest, best_inside
from llm_bridge.abstraction.study import (
    StudyRow,
    study,
    study_partitions,
    study_plot,
    study_table,
    write_study,
)

__all__ = [
    "FibreSet",
    "Groups",
    "LatentBest",
    "LatentModel",
    "Offence",
    "Partition",
    "Pooling",
    "Residual",
    "Simulation",
    "StudyRow",
    "best_inside",
    "blind_shield",
    "by_equality",
    "by_kmeans",
    "by_radius",
    "cells_of",
    "fibre_set",
    "fibre_set_of",
    "full_cache",
    "informed_shield",
    "last_layer",
    "latent_model",
    "node_weight",
    "residual",
    "simulation",
    "study",
    "study_partitions",
    "study_plot",
    "study_table",
    "tree_cells",
    "write_study",
]
