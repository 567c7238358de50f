"""The Azure regions of the provider, and how their names are written in URLs."""

REGIONS = (
    "South Central US",
    "West Central US",
    "East US 2",
    "West Europe",
    "Southeast Asia",
    "Japan East",
    "Australia East",
    "Germany Central",
)
"""Locations of the provider in display form; the first, fourth and fifth are of 2016, not all others are confirmed."""


def region_code(location: str) -> str:
    """Return a location as URLs have it: ``southcentralus`` for ``South Central US``."""
    return location.replace(" ", "").lower()
