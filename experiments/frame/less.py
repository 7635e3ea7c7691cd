"""SMALL's Wave Network with less in its one layer: the real part, one map, or no wave at all."""

from dataclasses import dataclass
from typing import Any, Literal

from flax import nnx
from jaxtyping import Array

from wave_jax import wave
from wave_jax.networks.wave_network import WaveConfig, WaveLayer, WaveNetwork
from wave_jax.numerics import masked_mean

__all__ = ["LessConfig", "LessLayer"]


@dataclass(frozen=True)
class LessConfig(WaveConfig):
    """SMALL's network with less in its one layer."""

    less: Literal["real part", "second map", "wave"] = "wave"

    def build(self, *, v: int, c: int, rngs: nnx.Rngs, **more: Any) -> WaveNetwork:
        network = super().build(v=v, c=c, rngs=rngs, **more)
        network.layers[0] = LessLayer(self, rngs)
        return network


class LessLayer(WaveLayer):
    """The plain call alone: it has no trace."""

    config: LessConfig

    def __init__(self, config: LessConfig, rngs: nnx.Rngs):
        super().__init__(config, rngs)
        if config.less == "wave":
            del self.variant1
        if config.less != "real part":
            del self.variant2

    def __call__(
        self, w: Array, mask: Array, segments: Array | None, rows: tuple[int, ...] | None, table: Any = None
    ) -> Array:
        less, combine = self.config.less, self.config.combine
        if less == "wave":
            return self.output(masked_mean(w, mask)[..., None, :])
        Z1 = wave.encode(self.variant1(w), mask, rows=rows)
        if less == "second map":
            return self.output(wave.read_out(wave.combine(Z1, Z1, combine), self.config.read_out))
        return self.output(wave.combine(Z1, wave.encode(self.variant2(w), mask, rows=rows), combine).imag)

    def trace(self, w: Array, mask: Array, segments: Array | None, at: Any) -> Any:
        raise NotImplementedError("A network that lacks something is called, not traced.")
