"""Checks of interactions of users and items."""
