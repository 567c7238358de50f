"""How each kind of target is observed and how one step is carried out on it; see `reconciler.targets.driver`."""
