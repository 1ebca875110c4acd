"""Checks of table rows."""
