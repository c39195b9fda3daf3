"""Runs become results: material, execution, storage, here or on many machines."""
