"""Makes bert.npz: what the reference BERT of PyTorch says to weights and a batch drawn here by NumPy.

    python -m venv reference && reference/bin/pip install torch==2.13.0 transformers==5.23.0
    reference/bin/python tests/golden/make_bert.py

Computed in float64 on a CPU with eager attention and without dropout, stored in float32: everything for
two layers with the exact gelu, and the logits of the first layer alone with the other activations. The
tests draw the same weights and batch from this file, and need neither PyTorch nor transformers.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("bert.npz")
CLASSES = 4
CONFIG = {
    "model_type": "bert",
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "hidden_act": "gelu",
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


def weights(config: dict = CONFIG) -> dict[str, np.ndarray]:
    """Random weights under the names and shapes of PyTorch's BERT; no bias is 0, no norm's scale 1."""
    rng = np.random.default_rng(0)
    d, width = config["hidden_size"], config["intermediate_size"]
    found = {}

    def linear(name, outs, ins):
        found[f"{name}.weight"] = rng.normal(0, ins**-0.5, (outs, ins)).astype(np.float32)
        found[f"{name}.bias"] = rng.normal(0, 0.3, outs).astype(np.float32)

    def norm(name):
        found[f"{name}.weight"] = rng.normal(1, 0.3, d).astype(np.float32)
        found[f"{name}.bias"] = rng.normal(0, 0.3, d).astype(np.float32)

    tables = {"word": "vocab_size", "position": "max_position_embeddings", "token_type": "type_vocab_size"}
    for table, size in tables.items():
        rows = rng.normal(0, 1, (config[size], d)).astype(np.float32)
        found[f"embeddings.{table}_embeddings.weight"] = rows
    norm("embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{i}"
        for part in ("query", "key", "value"):
            linear(f"{at}.attention.self.{part}", d, d)
        linear(f"{at}.attention.output.dense", d, d)
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense", width, d)
        linear(f"{at}.output.dense", d, width)
        norm(f"{at}.output.LayerNorm")
    linear("pooler.dense", d, d)
    linear("classifier", CLASSES, d)
    return found


def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids, mask and labels of three texts of 8, 5 and 1 tokens."""
    ids = np.random.default_rng(1).integers(0, CONFIG["vocab_size"], (3, 8)).astype(np.int32)
    return ids, np.arange(8) < np.array([[8], [5], [1]]), np.array([0, 3, 1])


def main():
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    ids, mask, labels = (torch.tensor(part, dtype=torch.long) for part in batch())
    state = {k if k.startswith("classifier") else f"bert.{k}": v for k, v in weights().items()}
    state = {name: torch.tensor(array).double() for name, array in state.items()}

    def reference(**settings):
        config = BertConfig(**CONFIG | settings, num_labels=CLASSES, attn_implementation="eager")
        model = BertForSequenceClassification(config).double().eval()
        model.load_state_dict({name: state[name] for name in model.state_dict()})
        encoded = model.bert(input_ids=ids, attention_mask=mask)
        return model, encoded, model.classifier(encoded.pooler_output)

    model, encoded, logits = reference()
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    golden = {"hidden": encoded.last_hidden_state, "pooled": encoded.pooler_output, "loss": loss}
    golden |= {f"gradient.{name.removeprefix('bert.')}": p.grad for name, p in model.named_parameters()}
    golden["logits"] = logits
    for activation in ("gelu_new", "relu"):
        golden[f"logits.{activation}"] = reference(hidden_act=activation, num_hidden_layers=1)[2]
    np.savez_compressed(FILE, **{k: v.detach().numpy().astype(np.float32) for k, v in golden.items()})


if __name__ == "__main__":
    main()
