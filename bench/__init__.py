"""Measurements of a real Flux, in the unit R. `python -m bench --help` says more."""
