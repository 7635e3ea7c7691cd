"""What one looks at: gradients, attributions, measures and figures."""


def __getattr__(name: str):
    if name == "gradient_study":
        from wave_jax.study.papers import gradient_study

        return gradient_study
    raise AttributeError(f"module 'wave_jax.study' has no attribute {name!r}")
