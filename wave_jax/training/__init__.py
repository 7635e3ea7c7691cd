"""A loss, an optimizer, a step and a loop."""
