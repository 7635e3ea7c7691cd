"""The commands of `wave-jax`."""
