"""The settings of networks: what they refuse, and what they build."""

import jax
import numpy as np
import pytest
from flax import nnx
from tiny import CONFIGS

from wave_jax.networks.configs import BertConfig, TransformerConfig, WaveConfig
from wave_jax.networks.kinds import KINDS
from wave_jax.networks.trace import Network


@pytest.mark.parametrize("config", CONFIGS.values(), ids=str)
def test_settings_build_their_network(config):
    network = jax.eval_shape(lambda: config.build(v=11, c=3, rngs=nnx.Rngs(0)))
    assert isinstance(network, Network)
    assert network.config is config
    assert (network.embedding.shape[0], network.classifier.out_features) == (11, 3)


def test_every_kind_builds_another_network():
    assert len({kind.builds for kind in KINDS.values()}) == len(KINDS)


def test_no_network_is_built_of_no_rows_or_one_class():
    with pytest.raises(ValueError, match="v must be at least 1, got 0"):
        WaveConfig(d=4).build(v=0, c=2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="c must be at least 2 classes, got 1"):
        BertConfig().build(c=1, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="words must be of shape"):
        TransformerConfig(d=6, heads=2).build(v=4, c=2, rngs=nnx.Rngs(0), words=np.zeros((4, 5)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" " * (2**20 + 1), r"cannot be read \(it has 1,048,577 bytes"),
        (b"[" * 10**5, "not readable as JSON"),
    ],
    ids=["long", "deep"],
)
def test_a_config_of_bert_that_is_long_or_deep_is_refused(content, message, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"config\.json .*{message}"):
        BertConfig.read(tmp_path)
