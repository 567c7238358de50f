"""Declarative reconciler for Azure Machine Learning Studio (classic) web services."""
