"""Models in files and from elsewhere: JSON, npz, Gymnasium, the catalogue of named models."""

from ig_theory.io.catalogue import model_names, open_model
from ig_theory.io.files import load_model, save_model

__all__ = ["load_model", "model_names", "open_model", "save_model"]
