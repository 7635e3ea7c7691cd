"""What one looks at: gradients, attributions, measures and figures."""
