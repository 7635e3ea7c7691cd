"""The settings of an estimator, each by its name: those of a preset, changed where one is given."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import wraps
from typing import Any, Literal, TypeVar

import numpy as np

from wave_jax.choices import Activation, Combine, Function, ReadOut
from wave_jax.data import labels as label_column
from wave_jax.networks.configs import WaveConfig
from wave_jax.runs import presets
from wave_jax.runs.presets import Preset
from wave_jax.runs.settings import Settings
from wave_jax.training.config import TrainConfig

__all__ = ["Default", "Parameters", "names_of", "of_run", "share_of", "told"]

Default = Literal["preset"]
"""As the preset has it: what every setting is until it is given."""
_NETWORK, _TRAINING = ({field.name for field in fields(kind)} for kind in (WaveConfig, TrainConfig))
_ELSEWHERE = {
    **dict.fromkeys(("learning_rate", "learning_rate_init", "lr", "eta"), "rate"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    **dict.fromkeys(("max_iter", "epoch", "n_epochs", "num_epochs", "num_train_epochs"), "epochs"),
    **dict.fromkeys(("max_steps", "total_steps"), "steps"),
    **dict.fromkeys(("batch_size", "minibatch"), "batch"),
    **dict.fromkeys(("dim", "hidden_size", "width", "embedding_dim"), "d"),
    **dict.fromkeys(("vocab_size", "max_features", "vocabulary"), "v"),
    **dict.fromkeys(("validation_fraction", "valid_size", "test_size"), "valid"),
    **dict.fromkeys(("early_stopping", "n_iter_no_change"), "patience"),
    **dict.fromkeys(("label_smoothing",), "smoothing"),
    **dict.fromkeys(("alpha", "l2"), "weight_decay"),
    **dict.fromkeys(("max_norm", "grad_clip", "gradient_clip"), "clip"),
    **dict.fromkeys(("class_weights",), "class_weight"),
    **dict.fromkeys(("progress", "show_progress", "progress_bar"), "verbose"),
}
"""What other libraries call a setting, and what it is called here."""

_Kind = TypeVar("_Kind", bound=type)
_Own = TypeVar("_Own", bound="Parameters")


def _with_names_checked(kind: _Kind) -> _Kind:
    """Let the constructor of a dataclass answer a wrong name with the right one."""
    made: Callable[..., None] = kind.__init__

    @wraps(made)
    def __init__(self: Any, *given: Any, **settings: Any) -> None:
        _check_names(type(self), settings)
        made(self, *given, **settings)

    __init__.__doc__ = kind.__doc__
    kind.__init__ = __init__
    return kind


@_with_names_checked
@dataclass(eq=False, repr=False)
class Parameters:
    """Hold the settings of an estimator, as scikit-learn asks for them; `"preset"` takes that of the preset.

    Args:
      preset: Where settings start: small, paper-modulation or paper-interference.
      verbose: Whether `fit` shows a bar; None shows it in a terminal and in a notebook alone.
      size: Bytes that the exported int8 file may have, as 500_000 or "1MB": rows and width shrink until it
        fits.
      valid: Share of the training texts held out for validation; 0 trains on all texts.
      calibrate: Whether a temperature is chosen on the validation texts; None for where label smoothing,
        which leaves a network too modest, is on.
      v: Maximum number of rows of the vocabulary, which is trained on the texts.
      whole_words: Whole words instead of pieces; unknown words are represented by their look.
      stems: How many of these rows are for stems: beginnings that many words share.
      pairs: Rows for the pairs of neighbouring tokens that say most about the labels of the training texts.
      parameters: Maximum number of parameters, tables included; with many rows the network is narrower than
        d.
      d: Width of a token vector.
      combine: How the two waves of a token are combined.
      read_out: The way from a wave back to real numbers.
      pool: One vector for the text: the first token's, or the mean over tokens.
      positions: What is added to a token's embedding to mark its position.
      levels: Whose norm is G: the text's for both waves, or for Z1 that of the token's own sentence.
      voice_width: Smallest width of a voice; None for a single one.
      layers: Number of wave layers.
      dropout: Share of a layer's output set to 0 in training.
      activation: What follows the feed forward's linear map.
      max_length: Tokens of a text that are read.
      epochs: How often each text is read; None for as often as its corpus asks for.
      steps: Batches in all; if given, it overrides epochs.
      batch: Texts per step.
      rate: Peak learning rate of Adam.
      warm_up: Share of all steps in which the rate rises to its peak.
      schedule: How the rate falls after its peak; cosine and linear end at 0.
      weight_decay: Pull of every parameter to 0, times the rate (AdamW).
      decay_spares: What weight decay leaves alone: biases and norms (vectors), or these and the embedding
        tables.
      clip: Largest norm of the gradient of all parameters; a longer one is scaled down.
      smoothing: Share of the target that label smoothing spreads over all classes.
      class_weight: Weight of each class in the loss: balanced, or a dict by label; others count 1.
      labels: Several: any number of labels a text, in strings with bars between, each of its own probability.
      drop_tokens: Share of the tokens of a text, but never [CLS], that each epoch leaves out at random.
      keep_tokens: Lower bound on the tokens that a text of average length keeps.
      lengths: Maximum number of padded lengths: fewer leave more padding and fewer programs to compile.
      patience: Epochs without a better validation accuracy after which training stops.
      keep: Network that the run keeps: the one of the best validation accuracy, or the last one.
      seed: Seed of the order of texts, of dropout and of dropped tokens.
      dtype: Type that linear maps compute in.
    """

    preset: str = "small"
    _: KW_ONLY
    verbose: bool | None = None
    size: int | str | None = None
    valid: float | Default = "preset"
    calibrate: bool | Default | None = "preset"
    v: int | Default = "preset"
    whole_words: bool | Default = "preset"
    stems: int | Default = "preset"
    pairs: int | Default = "preset"
    parameters: int | Default | None = "preset"
    d: int | Default = "preset"
    combine: Combine | Function | Default = "preset"
    read_out: ReadOut | Function | Default = "preset"
    pool: Literal["cls", "mean"] | Default = "preset"
    positions: Literal["none", "sinusoidal", "learned"] | Default = "preset"
    levels: Literal["input", "sentence"] | Default = "preset"
    voice_width: int | Default | None = "preset"
    layers: int | Default = "preset"
    dropout: float | Default = "preset"
    activation: Activation | Default = "preset"
    max_length: int | Default = "preset"
    epochs: int | Default | None = "preset"
    steps: int | Default | None = "preset"
    batch: int | Default = "preset"
    rate: float | Default = "preset"
    warm_up: float | Default = "preset"
    schedule: Literal["constant", "cosine", "linear"] | Default = "preset"
    weight_decay: float | Default = "preset"
    decay_spares: Literal["nothing", "vectors", "embeddings"] | Default = "preset"
    clip: float | Default | None = "preset"
    smoothing: float | Default = "preset"
    class_weight: Literal["balanced"] | dict[Any, float] | Default | None = "preset"
    labels: Literal["several"] | Default | None = "preset"
    drop_tokens: float | Default = "preset"
    keep_tokens: int | Default = "preset"
    lengths: int | Default = "preset"
    patience: int | Default | None = "preset"
    keep: Literal["best", "last"] | Default = "preset"
    seed: int | Default = "preset"
    dtype: Literal["float32", "bfloat16"] | Default = "preset"

    def __repr__(self) -> str:
        given = {"preset": self.preset, **self.given()}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return all settings."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self: _Own, **settings: Any) -> _Own:
        """Change settings for the next `fit`, which checks their values."""
        _check_names(type(self), settings)
        for name, value in settings.items():
            setattr(self, name, value)
        return self

    def given(self) -> dict[str, Any]:
        """Return the settings that were given, besides the preset, with Python's own numbers.

        >>> Parameters(epochs=np.int64(3)).given()
        {'epochs': 3}
        """
        values = ((field, getattr(self, field.name)) for field in fields(self) if field.name != "preset")
        return {
            field.name: value.item() if isinstance(value, np.generic) else value
            for field, value in values
            if type(value) is not type(field.default) or value != field.default
        }

    def chosen(self, start: Settings | None = None, **more: Any) -> Preset:
        """Return the preset with the settings that were given, and these; their values are checked.

        With settings of a run that is started from, its network is the preset's.
        """
        preset, given = presets.preset(self.preset, start=start), {**self.given(), **more}
        given = {name: value for name, value in given.items() if name not in ("verbose", "size")}
        if "valid" in given:
            given["valid"] = share_of(given["valid"])
        return replace(
            preset,
            network=replace(preset.network, **{k: x for k, x in given.items() if k in _NETWORK}),
            training=replace(preset.training, **{k: x for k, x in given.items() if k in _TRAINING}),
            **{k: x for k, x in given.items() if k not in _NETWORK | _TRAINING},
        )


def told(settings: Settings, params: Mapping[str, Any], labels: list[Any], matrix: bool) -> Settings:
    """Return the settings of a run with those of its estimator and with its labels, as JSON holds them.

    Args:
      settings: those of the run.
      params: those of the estimator, which `of_run` gives back.
      labels: the labels, one for each class.
      matrix: whether they were given as a matrix.
    """
    params = dict(params)
    if isinstance(by_label := params.get("class_weight"), dict):
        params["class_weight"] = [[label_column.to_json(label), x] for label, x in by_label.items()]
    data = {**settings.data, "labels": [label_column.to_json(label) for label in labels]}
    data |= {"matrix": True} if matrix else {}
    return replace(settings, data=data | {"classifier": params}, classes=names_of(labels))


def names_of(labels: list[Any]) -> tuple[str, ...]:
    """Return the names of classes with these labels.

    >>> names_of([1, 2]), names_of([1, "1"])
    (('1', '2'), ('1', "'1'"))
    """
    names = tuple(map(str, labels))
    return names if len({*names}) == len(names) else tuple(map(repr, labels))


def of_run(settings: Settings, preset: str | None) -> dict[str, Any]:
    """Return the settings of an estimator that make such a run again, as far as config.json tells them.

    >>> from wave_jax.runs.presets import SMALL
    >>> training = replace(SMALL.training, epochs=3, class_weight="a=2")
    >>> of_run(Settings(SMALL.network, training, 9, ["a", "b"], 512, "", {}), "small")
    {'preset': 'small', 'epochs': 3, 'class_weight': {'a': 2.0}}
    """
    if known := settings.data.get("classifier"):
        if isinstance(pairs := known.get("class_weight"), list):
            return {**known, "class_weight": {label_column.from_json(label): x for label, x in pairs}}
        return known
    name = preset if preset in presets.PRESETS else "small"
    chosen, given = presets.PRESETS[name], {}
    for ours, theirs in ((chosen.network, settings.network), (chosen.training, settings.training)):
        if type(ours) is type(theirs):
            names = (field.name for field in fields(ours))
            given |= {x: getattr(theirs, x) for x in names if getattr(theirs, x) != getattr(ours, x)}
    rule = given.get("class_weight")
    if rule and rule != "balanced":
        weights = (part.rpartition("=") for part in rule.split(","))
        given["class_weight"] = {label.strip(): float(weight) for label, _, weight in weights}
    return {"preset": name, **given}


def _check_names(kind: type, given: Iterable[str]) -> None:
    """Raise a ValueError that names the nearest setting unless all of these are settings."""
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            near = [_ELSEWHERE[name]] if name in _ELSEWHERE else difflib.get_close_matches(name, known, 1)
            cure = f"it is called {near[0]}" if near else f"it has {', '.join(known)}"
            raise ValueError(f"{kind.__name__} has no setting {name!r}: {cure}.")


def share_of(valid: Any) -> float:
    """Return the setting `valid` as a share; a file is for the command line alone."""
    if isinstance(valid, bool) or not isinstance(valid, int | float):
        raise ValueError(
            f"valid must be a share of the texts, got {valid!r}: give texts to fit(..., valid=)."
        )
    return float(valid)
