"""Judges, before anything starts, whether the steps of a plan can be carried out, and what its retrains will take.

Pure: what has to be asked for it is asked by `reconciler.preflight`, and comes in as `facts`.
"""
