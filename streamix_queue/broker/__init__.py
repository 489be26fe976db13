"""Streamix Queue."""
