"""What is compared: suites, budgets, recipes, and the grid of runs."""
