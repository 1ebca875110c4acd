"""Interactions of users and items: reading and splitting."""
