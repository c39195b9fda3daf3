"""Results become statistics, claims, tables, charts and pages."""
