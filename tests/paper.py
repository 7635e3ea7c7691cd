"""The papers' formulas in plain float64 NumPy: polar form, loops, no cleverness. The oracle of the tests."""

import numpy as np


def encode(w: np.ndarray) -> np.ndarray:
    """P1 section 3.1 for one text w of shape (n, d): Z_jk = G_k·exp(i·α_jk)."""
    n, d = w.shape
    Z = np.zeros((n, d), complex)
    for k in range(d):
        G = np.sqrt(sum(w[j, k] ** 2 for j in range(n)))
        for j in range(n):
            ratio = w[j, k] / G if G > 0 else 0.0
            alpha = np.arctan2(np.sqrt(max(0.0, 1 - ratio**2)), ratio)
            Z[j, k] = G * np.exp(1j * alpha)
    return Z


def encode_sentences(w: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The same with the G of each token's own sentence."""
    Z = np.zeros(w.shape, complex)
    for sentence in set(segments.tolist()):
        Z[segments == sentence] = encode(w[segments == sentence])
    return Z


def interfere(Z1: np.ndarray, Z2: np.ndarray) -> np.ndarray:
    """P1 section 3.2, by magnitude and phase: √(A² + A'² + 2·A·A'·cos(α - α')) at the phase of the sum."""
    A, B, a, b = abs(Z1), abs(Z2), np.angle(Z1), np.angle(Z2)
    size = np.sqrt(np.maximum(0, A**2 + B**2 + 2 * A * B * np.cos(a - b)))
    angle = np.arctan2(A * np.sin(a) + B * np.sin(b), A * np.cos(a) + B * np.cos(b))
    return size * np.exp(1j * angle)


def modulate(Z1: np.ndarray, Z2: np.ndarray) -> np.ndarray:
    """P1 section 3.2, by magnitude and phase: A·A' at α + α'."""
    return abs(Z1) * abs(Z2) * np.exp(1j * (np.angle(Z1) + np.angle(Z2)))


COMBINE = {"interfere": interfere, "modulate": modulate}
READ_OUT = {
    "real": lambda Z: Z.real,
    "magnitude": abs,
    "real_imag": lambda Z: np.concatenate([Z.real, Z.imag], axis=-1),
}


def layer_norm(x: np.ndarray, scale: np.ndarray, bias: np.ndarray, eps: float) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(x.var() + eps) * scale + bias


def sinusoidal(n: int, d: int) -> np.ndarray:
    """Fixed positions, one number at a time."""
    place = np.zeros((n, d))
    for j in range(n):
        for k in range(d):
            angle = j / 10_000 ** (2 * (k // 2) / d)
            place[j, k] = np.cos(angle) if k % 2 else np.sin(angle)
    return place


def p(variable) -> np.ndarray:
    return np.asarray(variable[...], np.float64)


def linear(m, x: np.ndarray) -> np.ndarray:
    return x @ p(m.kernel) + p(m.bias)


def wave_network(model, ids: np.ndarray) -> np.ndarray:
    """Logits of one unpadded text from the parameters of a `WaveNetwork`: one layer, voice and level."""
    config, layer = model.config, model.layers[0]
    w = p(model.embedding)[ids]
    if config.positions == "sinusoidal":
        w = w + sinusoidal(*w.shape)
    if config.positions == "learned":
        w = w + p(model.positions)[: len(ids)]
    Z = COMBINE[config.combine](encode(linear(layer.variant1, w)), encode(linear(layer.variant2, w)))
    x = linear(layer.feed_forward, READ_OUT[config.read_out](Z))
    rows = np.stack([layer_norm(row, p(layer.norm.scale), p(layer.norm.bias), 1e-6) for row in x])
    return linear(model.classifier, rows[0] if config.pool == "cls" else rows.mean(0))
