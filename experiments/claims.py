"""The claims of both papers, each beside what was measured: holds, mixed, does not hold, not yet measured.

    python -m experiments claims                                        (a second; `all` ends with it)

reads the CSV files of results/ and the tables of benchmarks/results/, and writes results/claims.md and the
table of the README. Every verdict follows from these numbers: a difference is significant if the 95 %
interval of its mean over seeds excludes 0, and nothing is concluded from an interval that holds both
outcomes. An accuracy is compared with the paper's on the whole test split, by networks of the paper's size.
Trained on fewer texts or epochs they can confirm it, but not refute it.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.frame import verdicts
from experiments.frame.results import SHOWN, WHOLE, Finding, Rows, Unjudged, read
from experiments.frame.verdicts import PAPER, SAVED, SLACK, compared, reaches
from wave_jax import tables
from wave_jax.disk import write_whole

RESULTS = Path(__file__).parent / "results"
README = RESULTS.parent.parent / "README.md"
MARKERS = "<!-- claims -->", "<!-- /claims -->"
ABOUT = """\
# The papers' claims, and what we measured

`python -m experiments claims` writes this page, and the table of the README, from the files named in the last
column. P1 is arXiv 2411.02674, P2 arXiv 2411.06989. Ours are means and 95 % intervals over seeds, accuracy in
per cent; *of* names data, size of the networks, epochs and seeds. The verdicts are computed: a difference is
significant if its interval over seeds excludes 0; the reports hold paired tests on the same texts. A network
trained on less than in the paper can confirm its accuracy, but not refute it. The command measures what is
not yet measured."""

COMMANDS = {
    "accuracy": "--data AG_NEWS IMDB DBPEDIA14 --weights bert-base-uncased --networks paper",
    "complexity": "",
    "small": "--data AG_NEWS IMDB",
    **dict.fromkeys(
        ("convergence", "gradient_study", "independence", "robustness"), "--data AG_NEWS --networks paper"
    ),
}


@dataclass(frozen=True)
class Claim:
    says: str
    paper: str
    files: tuple[str, ...]
    """The results by which it is judged."""
    judge: Callable[..., Finding]
    """Of the rows of these files."""
    short: bool = False
    """Whether the README has it."""

    def command(self) -> str:
        """Return the command that makes these results, or more of them."""
        folder = self.files[0].split("/")[0].removesuffix("_paper")
        if folder == "benchmarks":
            return " && ".join(
                f"python -m {name.removesuffix('.md').replace('/', '.')}" for name in self.files
            )
        return f"python -m experiments {folder} {COMMANDS.get(folder, '--data AG_NEWS')}".strip()

    def find(self, results: Path) -> Finding:
        try:
            return self.judge(*(read(results, name) for name in self.files))
        except Unjudged as unjudged:
            return unjudged.finding
        except KeyError as name:
            return Unjudged(f"its results have no column {name}").finding


# --- the claims ---------------------------------------------------------------------------------------------


def beside(*others: str, model: str = "modulation") -> Callable[..., Finding]:
    """Judge whether its accuracy is better than theirs."""
    sides = [(name, "test_accuracy", {"model": model}, {"model": name}) for name in others]
    return partial(compared, comparisons=sides)


def beats_transformer(rows: Rows) -> Finding:
    """Judge whether modulation is better than every Transformer: as the papers train it, and with care."""
    seeds = Counter(row["model"] for row in rows if row["model"].startswith("Transformer"))
    trained = [name for name, count in seeds.items() if count > 1]  # one seed: tried on validation
    return beside(*trained or ["Transformer"])(rows)


def carries(paper: Rows, small: Rows) -> Finding:
    """Judge whether networks are better than the same without the wave, by all controls on all data.

    The controls are the mean of embeddings in place of the wave, and the same wave read out without phase: at
    the papers' size and at SMALL's.
    """
    first = beside("bag", "modulation, no phase")(paper)
    second = beside("mean of embeddings", "without the wave", model="SMALL")(small)
    answers = {f"{name}, the papers' size": answer for name, answer in first.answers.items()}
    answers |= {f"{name}, SMALL's size": answer for name, answer in second.answers.items()}
    ours, of = f"{first.ours}; {second.ours}", f"{first.of}; {second.of}"
    return verdicts.judged(ours, of, answers, short=second.short)


def gradients(wave: str, *measures: str) -> Callable[..., Finding]:
    """Judge whether every measure is more than the Transformer's, wherever it is taken."""
    places = {"text": "whole text", "cls": "[CLS]", "classifier": "classifier"}
    comparisons = [
        (f"{measure} at {shown}", f"{place}_{measure}", {"model": wave}, {"model": "Transformer"})
        for measure in measures
        for place, shown in places.items()
    ]
    return partial(compared, comparisons=comparisons, show=1)


def independent(wave: str) -> Callable[..., Finding]:
    """Judge whether a dimension reaches less of the others than in the Transformer, by every definition."""
    ours, theirs = ({"training": "after", "model": model} for model in (wave, "Transformer"))
    names = {
        "moved": "share of dimensions moved",
        "jacobian_cls": "off the diagonal at [CLS]",
        "jacobian_others": "off the diagonal elsewhere",
        "correlation_h": "correlation of h",
    }
    comparisons = [(shown, column, ours, theirs) for column, shown in names.items()]
    return partial(compared, comparisons=comparisons, wanted="less", show=1)


WAVES = "modulation", "interference"
RUNS, SMALL, COSTS = ("accuracy_paper/runs.csv",), ("small/runs.csv",), ("complexity/costs.csv",)
COSTS_OF_BERT = tuple(f"benchmarks/{name}.md" for name in ("memory", "step", "process"))
STEP = COSTS_OF_BERT[1]
CURVES = ("convergence_paper/curves.csv",)
SEEDS, INDEPENDENCE = ("gradient_study_paper/seeds.csv",), ("independence_paper/independence.csv",)
SPOILT = ("robustness_paper/accuracy.csv",)


def accuracy(model: str, data: str) -> Claim:
    """Judge the paper's accuracy. It states no length of texts: those of IMDB are read to 512 tokens."""
    paper, cut = PAPER[model][data], ", 512 tokens" if data == "imdb" else ""
    judge = partial(reaches, model=f"{model}{cut}", data=data, least=paper - SLACK)
    says, short = f"{model.capitalize()}{cut} on {SHOWN[data]}", (model, data) == ("modulation", "ag_news")
    return Claim(f"{says}: the paper's accuracy", f"{paper:.2f} (P1 table 2)", RUNS, judge, short)


def small(data: str) -> Claim:
    paper = PAPER["modulation"][data]
    judge = partial(reaches, model="SMALL", data=data, least=paper, networks="small")
    says = f"SMALL, 2.4 million parameters in all, beats the paper on {SHOWN[data]}"
    return Claim(says, f"{paper:.2f} (P1 table 2)", SMALL, judge, data == "ag_news")


AGREEMENT = [(wave, "agreement", {"model": wave}, 0.5) for wave in WAVES]
AGREE = partial(compared, comparisons=AGREEMENT)
SAVINGS = "{memory} % of memory, {time} % of time (P1 abstract)".format_map(SAVED)
AT_CLS = "The gradient at [CLS] is like that at the other tokens"
NOT = "not compared"
MINILM = "Modulation is as near to MiniLM-L6 as the paper's to BERT base"
GRADIENTS = {
    "sparser": ("gini", "sparse"),
    "more of one direction": ("resultant", "principal", "sign_agreement"),
}
CLAIMS = [
    *(accuracy(model, data) for data in WHOLE for model in WAVES),
    Claim(
        "Modulation beats a Transformer of one layer",
        "91.66, 71.68 (P1 tables)",
        RUNS,
        beats_transformer,
        True,
    ),
    Claim(
        "Modulation comes near BERT base",
        "91.66, 94.64 (P1 table 2)",
        (*RUNS, STEP),
        verdicts.near_bert,
        True,
    ),
    Claim(MINILM, NOT, RUNS, verdicts.near_minilm),
    Claim("Modulation beats interference", "91.66, 90.91 (P1 table 2)", RUNS, beside("interference"), True),
    Claim("Modulation beats a bag of embeddings", NOT, RUNS, beside("bag"), True),
    Claim("Modulation is better with positions", NOT, RUNS, beside("modulation, no positions")),
    Claim("It has 2.4 million parameters", "2.4 million (P1 abstract)", COSTS, verdicts.parameters, True),
    Claim("It saves memory and time over BERT base", SAVINGS, COSTS_OF_BERT, verdicts.savings, True),
    Claim("It converges within 500 batches", "no number known (P2)", CURVES, verdicts.converges),
    *(
        Claim(
            says,
            "sparse, of one bias (a summary of P2)",
            SEEDS,
            gradients(wave, *measures),
            (wave, what) == ("modulation", "sparser"),
        )
        for wave in WAVES
        for what, measures in GRADIENTS.items()
        for says in (f"{wave.capitalize()}'s gradients are {what} than the Transformer's",)
    ),
    Claim(AT_CLS, "no number known (P2)", SEEDS, AGREE),
    Claim("Encode and combine keep dimensions apart", "no number known (P2)", INDEPENDENCE, verdicts.alone),
    *(
        Claim(says, "no number known (P2)", INDEPENDENCE, independent(wave))
        for wave in WAVES
        for says in (f"{wave.capitalize()} keeps dimensions more apart than the Transformer",)
    ),
    Claim("The wave carries accuracy", "no control", (*RUNS, *SMALL), carries, True),
    Claim("Spoilt texts cost it less than the Transformer", NOT, SPOILT, verdicts.spoilt),
    *(small(data) for data in ("ag_news", "imdb")),
    Claim("SMALL beats fastText on the same texts", NOT, SMALL, beside("fastText", model="SMALL")),
]


# --- the page -----------------------------------------------------------------------------------------------


def page(results: Path) -> str:
    """Write claims.md: every claim."""
    rows = []
    for claim in CLAIMS:
        found = claim.find(results)
        why = f"{found.why}: `{claim.command()}`" if found.verdict == "not yet measured" else found.why
        rows.append({"claim": claim.says, "paper": claim.paper, "ours": found.ours, "of": found.of})
        rows[-1] |= {"verdict": found.verdict, "why": why, "judged by": ", ".join(claim.files)}
    return f"{ABOUT}\n\n{tables.markdown(rows)}\n"


def short(results: Path) -> str:
    """Write the table of the README."""
    rows = []
    for claim in CLAIMS:
        if claim.short:
            found = claim.find(results)
            ours = found.short or found.ours or "-"
            rows.append({"claim": claim.says, "paper": claim.paper, "ours": ours, "verdict": tallied(found)})
    return tables.markdown(rows)


def tallied(found: Finding) -> str:
    """Return the verdict; if it is mixed, with the comparisons that the claim holds in."""
    tally = found.why.partition(";")[0]
    return f"mixed ({tally})" if found.verdict == "mixed" else found.verdict


def replaced(text: str, table: str) -> str:
    """Put this table between the two markers of a text."""
    before, after = MARKERS
    if [text.count(marker) for marker in MARKERS] != [1, 1]:
        raise ValueError(f"README.md must hold {before} and {after} once each: the claims go between them.")
    return re.sub(f"{before}.*{after}", lambda _: f"{before}\n{table}\n{after}", text, flags=re.DOTALL)


def write(results: Path) -> None:
    """Write claims.md of these results; and the table of the README if they are those that are kept."""
    write_whole(results / "claims.md", page(results).encode())
    if results.resolve() == RESULTS.resolve():
        write_whole(README, replaced(README.read_text("utf-8"), short(results)).encode())
