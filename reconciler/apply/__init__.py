"""Carries out a plan: versions are trained side by side, and each target moves as soon as its version may be used."""
