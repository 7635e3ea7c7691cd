"""Presets, settings, the run folder, and one run from texts to metrics."""
