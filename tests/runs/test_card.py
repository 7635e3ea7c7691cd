"""The card of a model: a header that the Hub's own reader understands, and numbers as they are."""

import json
import re

import pytest

from wave_jax.networks.configs import WaveConfig
from wave_jax.runs.card import card
from wave_jax.runs.settings import Settings
from wave_jax.training.config import TrainConfig

SETTINGS = Settings(WaveConfig(d=8), TrainConfig(), 40, ['yes: "no"', "a|b"], 16, "", {"name": "my: texts"})
METRICS = {"valid_accuracy": 0.75, "valid_macro_f1": 0.5, "test_accuracy": 0.625, "parameters": 1234567}


def test_the_hub_reads_the_header():
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card("news # 1", SETTINGS, METRICS, "mit")).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("wave_jax", "text-classification", "mit")
    found = [
        (result.dataset_name, result.metric_type, result.metric_name, result.metric_value)
        for result in data.eval_results
    ]
    assert found == [
        ("my: texts", "accuracy", "valid accuracy", 0.75),
        ("my: texts", "f1", "valid macro f1", 0.5),
        ("my: texts", "accuracy", "test accuracy", 0.625),
    ]
    assert data.model_name == "news # 1"


def test_every_line_of_the_header_is_json():
    header = card("news", SETTINGS, METRICS).split("---")[1].strip().splitlines()
    fields = {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in header}
    assert (fields["license"], fields["metrics"]) == ("unknown", ["accuracy", "f1"])
    assert fields["model-index"][0]["results"][0]["dataset"]["type"] == "my-texts"


def test_the_page_says_numbers_settings_and_use():
    page = card("runs/news", SETTINGS, METRICS | {"temperature": 0.5}, load="from_pretrained")
    assert 'WaveClassifier.from_pretrained("runs/news")' in page
    assert re.search(r"\| valid +\| macro f1 +\| 0\.5000 +\|", page)
    assert "1,234,567" in page
    assert "batch 64" in page
    assert page.count("|\n") > 8
    assert r"a\|b" in page


def test_a_run_without_numbers_has_a_card_all_the_same():
    page = card("news", SETTINGS, {})
    assert '"results": []' in page
    assert "unknown" in page
