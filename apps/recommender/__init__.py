"""Ratings and recommendations from pairs of users and items."""
