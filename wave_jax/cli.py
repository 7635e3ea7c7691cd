"""The door: `wave-jax demo`. Parses, calls, prints; no logic of its own."""

import argparse
import sys
from collections import Counter
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
    kinds = Counter(device.device_kind for device in jax.devices())
    print("devices   " + ", ".join(f"{count} x {kind}" for kind, count in kinds.items()))

    w = jnp.array([[3.0, 1.0], [4.0, 1.0], [0.0, -1.0]])
    Z = wave.encode(w)
    print("\nThree tokens of width 2 as waves Z = w + i·s. G = |Z| is the same for all:\n")
    print(f"{'w':>14} {'Z = encode(w)':>27} {'G':>15} {'phase':>15}")
    for row in zip(w, Z, wave.magnitude(Z), wave.phase(Z), strict=True):
        print(
            "    ".join(
                _numbers(numbers, width) for numbers, width in zip(row, (14, 24, 12, 12), strict=True)
            )
        )
    print("\nDerivatives of the first token's s by every token: its own value over s.\n")
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
