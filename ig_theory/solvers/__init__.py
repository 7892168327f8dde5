"""Solvers: one file a question, each with two-sided or exact answers.

Questions about budgets that hold almost surely
    `minimal_budget`, `reaching_budget`: the least budget that can be kept, or reaches a goal.
    `budget_vectors`: the least budgets of several constraints at once.
    `safe_value`, `budgeted_value`, `value_table`, `grid_table`, `pareto`: the best safe reward.
    `least_intrusive`, `soft`: the least change to the base policy, alone and against reward.
    `base_safety`, `policy_violation`: how often the base or another policy violates.

Questions about weaker constraints
    `penalty`, `penalty_curve`, `penalty_threshold`: violations that cost a penalty.
    `violation`, `chance`: the least probability of violating, and rewards at a given one.
    `spent`, `cvar`: what is spent, and its tail.
    `occupation_lp`, `lagrangian`, `lyapunov`, `posterior`: the expected cost within the budget.
    `unconstrained`: what could be had without any.

Shared parts
    `solution`: what every answer holds.
    `totals`: best totals on products and on states, and expectations at the start.
    `expected`, `risk`: for constraints on the expected cost, and on violations and spending.
    `kernels`: compiled loops.
"""
