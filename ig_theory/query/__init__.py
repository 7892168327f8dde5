"""Questions about a model and its budget, each with one answer that can be shown or plotted."""

from ig_theory.query.answer import Answer, Line, Mark, Panel, Plot, Table
from ig_theory.query.questions import QUESTIONS, Question, ask

__all__ = ["QUESTIONS", "Answer", "Line", "Mark", "Panel", "Plot", "Question", "Table", "ask"]
