"""The stages of a forward pass, and the call that all networks share."""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from wave_jax.networks.layers import Embedding, Linear

__all__ = ["Changes", "Network", "Trace", "changes", "check_both", "check_inputs", "drawn", "positions_of"]


def drawn(tree: Any) -> dict[str, str] | None:
    """Return how treescope draws a tree in a notebook; None without treescope, so that its text is shown."""
    try:
        import treescope
    except ImportError:
        return None
    with warnings.catch_warnings():  # treescope 0.1.10 asks NumPy 2.5 for a class that is deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        return {"text/html": treescope.render_to_html(tree)}


class Trace(NamedTuple):
    """The named stages of a forward pass, and of the derivatives that come back through it.

    A stage that a network lacks is None; with several layers, w1 to x are tuples with one entry a layer.
    A trace always holds all tokens.
    """

    w: Any = None  # (*batch, n, d) embedding + position
    w1: Any = None  # (*batch, n, d) first variant, as the linear map made it
    w2: Any = None  # (*batch, n, d) second variant
    Z1: Any = None  # (*batch, n, d) complex
    Z2: Any = None  # (*batch, n, d) complex
    Z: Any = None  # (*batch, n, d) complex: the waves combined
    x: Any = None  # (*batch, n, d or 2d) read out
    h: Any = None  # (*batch, d) the text, pooled
    logits: Any = None  # (*batch, c)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str] | None:
        return drawn(self)


class Network(nnx.Module):
    """What every network is: a call from ids to logits, and a trace of its named stages.

    A subclass defines `trace`; its call is then the end of the trace. Without a key there is no dropout.
    `segments`, the sentence of each token, are taken by every network and used by few.
    """

    stages: ClassVar[tuple[str, ...]] = ("w", "h", "logits")
    """What its trace holds."""

    config: Any  # its settings
    v: int  # rows of vocabulary
    embedding: Embedding
    classifier: Linear

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str] | None:
        return drawn(self)

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if cls.__call__ is not Network.__call__:
            check_both(cls)

    def __call__(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch c"]:
        """Return the logits of each text.

        Args:
          ids: rows of the embedding table.
          mask: True at tokens, False at padding.
          segments: the sentence of each token, for networks that read it.
          key: key of dropout; none means evaluation.
        """
        return self.trace(ids, mask, segments, key).logits

    def voices(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "voices *batch c"]:
        """Return the logits of each voice of an ensemble, whose mean is the call; others have one voice.

        Args:
          ids: rows of the embedding table.
          mask: True at tokens, False at padding.
          segments: the sentence of each token.
          key: key of dropout; none means evaluation.
        """
        return self(ids, mask, segments, key)[None]

    def trace(
        self,
        ids: Int[Array, "*batch n"],
        mask: Bool[Array, "*batch n"],
        segments: Int[Array, "*batch n"] | None = None,
        key: PRNGKeyArray | None = None,
        nudge: Trace | None = None,
        edit: Trace | None = None,
    ) -> Trace:
        """Return the stages that the network has, after what `edit` makes of them.

        With `edit=Trace(Z1=other.Z1, Z=lambda Z: Z / 2)`, Z1 is replaced and Z is halved; what follows is
        computed from them. With several layers a tuple has an edit, or None, for each; one alone is for all.

        Args:
          ids: rows of the embedding table.
          mask: True at tokens, False at padding.
          segments: the sentence of each token.
          key: key of dropout; none means evaluation.
          nudge: shaped like the trace; added to the stages on the way. The derivative with respect to it, at
            0, is the derivative by stage.
          edit: functions of a stage, or arrays in its place.
        """
        raise NotImplementedError


def check_both(cls: type) -> None:
    """Raise a TypeError for a class with a call or a trace of its own and the other one inherited.

    The call answers and the trace is differentiated: one of them would be that of another network.
    """
    own = [name for name in ("__call__", "trace") if name in vars(cls)]
    if len(own) == 1:
        other = "trace" if own == ["__call__"] else "__call__"
        raise TypeError(
            f"{cls.__name__} has its own {own[0]} and inherits {other}, which computes something else:"
            " define both, since the call answers and the trace is differentiated."
        )


class Changes(NamedTuple):
    """What is done to each stage on the way: it is edited, then nudged. `changes` makes it."""

    nudge: Trace
    edit: Trace

    def __call__(self, name: str, stage: Array) -> Array:
        """Return what becomes of a stage."""
        edit, nudge = getattr(self.edit, name), getattr(self.nudge, name)
        if edit is not None:
            stage = _edited(name, stage, edit)
        return stage if nudge is None else _nudged(name, stage, nudge)

    def of_layer(self, i: int) -> "Changes":
        """Return what is done to the stages of layer i."""
        return Changes(*(Trace(*(_of_layer(stage, i) for stage in each)) for each in self))


def changes(network: Network, nudge: Trace | None, edit: Trace | None) -> Changes:
    """Return what is done to the stages of a network, none of which it may lack."""
    found = Changes(nudge or Trace(), edit or Trace())
    for what, stages in found._asdict().items():
        for name, change in stages._asdict().items():
            if change is not None and name not in network.stages:
                raise ValueError(
                    f"{what} is for the stage {name}, which a {type(network).__name__} lacks:"
                    f" it has {', '.join(network.stages)}."
                )
            layers = len(getattr(network, "layers", ()))
            if isinstance(change, tuple) and len(change) != layers:
                raise ValueError(
                    f"{what} has {len(change)} for the stage {name}, whose network has {layers} layers."
                )
    return found


def _edited(name: str, stage: Array, edit: Array | Callable[[Array], Array]) -> Array:
    """Return what a function makes of a stage, or an array in its place; both must be of its kind."""
    found = jnp.asarray(edit(stage) if callable(edit) else edit)
    if found.shape != stage.shape or found.dtype != stage.dtype:
        raise ValueError(
            f"edit must keep the stage {name} {stage.dtype}{stage.shape}, got {found.dtype}{found.shape}."
        )
    return found


def _nudged(name: str, stage: Array, nudge: Array) -> Array:
    """Return a stage with something added that is shaped like it."""
    nudge = jnp.asarray(nudge)
    if nudge.shape != stage.shape or jnp.result_type(stage, nudge) != stage.dtype:
        raise ValueError(
            f"nudge must be shaped like the stage {name} {stage.dtype}{stage.shape},"
            f" got {nudge.dtype}{nudge.shape}."
        )
    return stage + nudge


def _of_layer(stage: Any, i: int) -> Any:
    """Return what is for layer i: of a tuple the i-th, else what is for all layers."""
    return stage[i] if isinstance(stage, tuple) else stage


def positions_of(network: Network) -> int | None:
    """Return the number of positions that a network has learned, the longest text; None if it reads any."""
    table = getattr(network, "positions", None)
    return None if table is None else table.shape[0]


def check_inputs(
    ids: Int[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    segments: Int[Array, "*batch n"] | None,
    v: int,
) -> None:
    """Raise a ValueError for ids, mask or segments that no network can read.

    Values are checked only outside of jit; inside, an id beyond the table becomes NaN, which training
    reports.

    Args:
      ids: rows of the embedding table.
      mask: True at tokens.
      segments: the sentence of each token, or None.
      v: number of rows of the table.
    """
    if ids.ndim < 1 or not jnp.issubdtype(ids.dtype, jnp.integer):
        raise ValueError(f"ids must be integers of shape (*batch, n), got {ids.dtype}{ids.shape}.")
    if mask.shape != ids.shape or mask.dtype != bool:
        raise ValueError(
            f"mask must be bool of the shape of ids {ids.shape}, got {mask.dtype}{mask.shape};"
            " True marks a token, False padding."
        )
    if segments is not None and (
        segments.shape != ids.shape or not jnp.issubdtype(segments.dtype, jnp.integer)
    ):
        raise ValueError(
            f"segments must be integers of the shape of ids {ids.shape},"
            f" got {segments.dtype}{segments.shape}."
        )
    if ids.size and not isinstance(ids, Tracer):
        values = np.asarray(ids)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= v:
            raise ValueError(
                f"ids must lie in 0..{v - 1}, the rows of the embedding table, got {low}..{high}:"
                " use the tokenizer that the network was built for, or build it with a larger v."
            )
