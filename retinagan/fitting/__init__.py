"""Corrections of new eyes, fitted to a set of weights: ``retinagan fit-eye``."""
