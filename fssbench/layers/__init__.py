"""Layers and losses that several methods share."""
