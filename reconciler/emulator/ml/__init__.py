"""Training and scoring in worker processes; the only folder that imports scikit-learn."""
