"""Layers and checks that models share."""
