"""Boards that an export can be checked against; a board is one small file."""
