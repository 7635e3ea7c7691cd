"""The door: `wave-jax demo`. Parses, calls, prints; no logic of its own."""

import argparse
import sys
from importlib.metadata import version

PACKAGES = (
    "wave_jax",
    "jax",
    "flax",
    "optax",
    "numpy",
    "orbax-checkpoint",
    "tensorflow-datasets",
    "tokenizers",
)


def demo() -> None:
    """Versions, devices, and three tokens as waves."""
    import jax
    import jax.numpy as jnp

    from wave_jax import wave

    print("versions  " + "\n          ".join(f"{name} {version(name)}" for name in PACKAGES))
    print("devices   " + ", ".join(device.device_kind for device in jax.devices()))

    w = jnp.array([[3.0, 1.0], [4.0, 1.0], [0.0, -1.0]])
    Z = wave.encode(w)
    print("\nThree tokens of width 2, their waves Z = w + i·s, and G = |Z|, the same for every token:\n")
    print(f"{'w':>14}    {'Z = encode(w)':>24}    {'|Z|':>12}    {'phase':>12}")
    for row in zip(w, Z, wave.magnitude(Z), wave.phase(Z), strict=True):
        print(
            "    ".join(
                _numbers(numbers, width) for numbers, width in zip(row, (14, 24, 12, 12), strict=True)
            )
        )
    print("\nThe derivative of Σ_k s_k at the first token, by every token: each token's own value over s.\n")
    for row in jax.grad(lambda w: jnp.sum(wave.encode(w, rows=(0,)).imag))(w):
        print(_numbers(row, 14))


def _numbers(row, width: int) -> str:
    return " ".join(f"{number:.2f}" for number in row.tolist()).rjust(width)


def main() -> None:
    parser = argparse.ArgumentParser(prog="wave-jax", description="The Wave Network in JAX and Flax.")
    parser.add_argument("--version", action="version", version=f"wave_jax {version('wave_jax')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="show versions, devices and a worked encoding").set_defaults(run=demo)
    parser.parse_args().run()


if __name__ == "__main__":
    sys.exit(main())
