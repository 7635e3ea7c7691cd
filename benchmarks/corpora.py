"""Corpora of odd shapes and scripts: SMALL learns what there is to learn, or refuses with one sentence.

    python -m benchmarks.corpora                                       (about six minutes on 2 cores)

Every corpus is made in code. A text of a class holds words of that class among words of all classes, or what
the corpus' name says. SMALL trains as `WaveClassifier()` does and answers test texts of the same making.
Chance is the most frequent class of the test texts; p is the probability that so many are right by chance.
Writes benchmarks/results/corpora.md. It ends with an error if a corpus is neither learned nor refused.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom

from benchmarks.report import write
from wave_jax.classifier import WaveClassifier
from wave_jax.errors import DataError

LEVEL = 0.01  # of significance


class Corpus(NamedTuple):
    """Texts and labels to train on and to test on."""

    texts: list[str]
    labels: list[int]
    test: list[str]
    test_labels: list[int]


Draw = Callable[[np.random.Generator, int], str]  # a text of a class


def corpus(draw: Draw, c: int, sizes: tuple[int, int], shares: Sequence[float] | None = None) -> Corpus:
    """Draw texts of c classes, in turn or by their shares of the training texts; test texts are in turn.

    Args:
      draw: makes a text of a class.
      c: number of classes.
      sizes: texts to train on and to test on.
      shares: share of each class in the training texts; all classes in turn if not given.
    """
    rng = np.random.default_rng(0)
    labels = [i % c for i in range(sizes[0])]
    if shares is not None:
        labels = np.repeat(np.arange(c), np.round(np.array(shares) * sizes[0]).astype(int)).tolist()
    test = [i % c for i in range(sizes[1])]
    return Corpus([draw(rng, k) for k in labels], labels, [draw(rng, k) for k in test], test)


def of_words(own: Callable[[int], Sequence[str]], common: Sequence[str], joint: str = " ") -> Draw:
    """Return a drawer of texts of three words of the class among seven that are common to all.

    Args:
      own: the words of a class.
      common: the words of all classes.
      joint: what stands between two words.
    """

    def draw(rng: np.random.Generator, k: int) -> str:
        words = [*rng.choice(list(own(k)), 3), *rng.choice(list(common), 7)]
        return joint.join(rng.permutation(words).tolist())

    return draw


# --- shapes -------------------------------------------------------------------------------------------------

SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
COMMON = [a + b + "n" for a in SYLLABLES[:15] for b in SYLLABLES[:15]]


def invented(k: int) -> list[str]:
    """Return the words of class k, of three syllables each, that no other class has."""
    return [SYLLABLES[k % 60] + SYLLABLES[k // 60] + last for last in SYLLABLES[:8]]


WORDS = of_words(invented, COMMON)


def single(rng: np.random.Generator, k: int) -> str:
    """Draw a text of one character."""
    return str(rng.choice([*["abcde", "vwxyz"][k]]))


def megabyte(rng: np.random.Generator, k: int) -> str:
    """Draw a text of a megabyte, half of whose words are of its class."""
    words = rng.choice([*invented(k), *COMMON[:8]], 150_000)
    return " ".join(words.tolist())


def one_word(rng: np.random.Generator, k: int) -> str:
    """Draw a text of 100,000 letters without a space, behind two words of the class."""
    return f"{' '.join(rng.choice(invented(k), 2))} {'x' * 100_000}"


def nothing(rng: np.random.Generator, k: int) -> str:
    """Draw a text that says nothing about its class."""
    return " ".join(rng.choice(COMMON, 10).tolist())


# --- scripts: words of sport and of markets, and words of all texts ----------------------------------------

CHINESE = ("足球 比赛 球队 冠军 教练 进球 联赛 决赛", "股票 市场 银行 利率 投资 基金 货币 通胀")
THAI = ("ฟุตบอล แข่งขัน ทีม แชมป์ โค้ช ประตู นักกีฬา", "หุ้น ตลาด ธนาคาร ดอกเบี้ย ลงทุน กองทุน เงินเฟ้อ")
JAPANESE = (
    "サッカー しあい チーム ゴール コーチ せんしゅ",
    "かぶしき しじょう ぎんこう きんり ファンド インフレ",
)
ARABIC = ("مباراة فريق بطولة مدرب هدف لاعب ملعب", "أسهم سوق بنك فائدة استثمار صندوق عملة")
HINDI = ("फुटबॉल मैच टीम कोच गोल खिलाड़ी मैदान", "शेयर बाज़ार बैंक ब्याज निवेश कोष मुद्रा")
FINNISH = (
    "jalkapallo ottelu joukkue mestari valmentaja maali",
    "pörssi markkina pankki korko sijoitus rahasto",
)
ALL_TEXTS = {
    "zh": "今天 昨天 我们 他们 非常 一个 这个 那个 已经 可能 因为 所以",
    "th": "วันนี้ เมื่อวาน เรา เขา มาก หนึ่ง นี้ นั้น แล้ว อาจ เพราะ ดังนั้น",
    "ja": "きょう きのう わたし とても ひとつ この その もう たぶん だから また",
    "ar": "اليوم أمس نحن هم جدا واحد هذا ذلك قد ربما لأن لذلك",
    "hi": "आज कल हम वे बहुत एक यह वह पहले शायद क्योंकि इसलिए",
    "fi": "tänään eilen me he hyvin yksi tämä tuo jo ehkä koska siksi",
}
ENDINGS = ("", "ssa", "sta", "lle", "lta", "n", "t", "ssakin", "staan")  # Finnish: one word, many forms
VOWELS = ("कील कूल केल", "काल कुल कोल")  # of other classes, and equal but for signs that are marks


def of_script(words: tuple[str, str], language: str, joint: str = " ") -> Draw:
    return of_words(lambda k: words[k].split(), ALL_TEXTS[language].split(), joint)


def shared_characters(rng: np.random.Generator, k: int) -> str:
    """Draw a Chinese text whose characters are those of both classes: only their order tells which it is."""
    words = ["产生 科学 合适 来回", "生产 学科 适合 回来"][k].split()
    return "".join(rng.permutation([*rng.choice(words, 3), *rng.choice(ALL_TEXTS["zh"].split(), 5)]))


def inflected(rng: np.random.Generator, k: int) -> str:
    """Draw a Finnish text: every word has one of nine endings."""
    words = of_script(FINNISH, "fi")(rng, k).split()
    return " ".join(word + str(rng.choice(ENDINGS)) for word in words)


SIZES = (400, 400)
CORPORA: dict[str, Callable[[], Corpus]] = {
    "2 classes": lambda: corpus(WORDS, 2, SIZES),
    "10 classes": lambda: corpus(WORDS, 10, SIZES),
    "100 classes": lambda: corpus(WORDS, 100, (2000, 400)),
    "1,000 classes": lambda: corpus(WORDS, 1000, (4000, 1000)),
    "1 text per class, 2 classes": lambda: corpus(WORDS, 2, (2, 400)),
    "1 text per class, 100 classes": lambda: corpus(WORDS, 100, (100, 400)),
    "2 texts per class, 100 classes": lambda: corpus(WORDS, 100, (200, 400)),
    "10 texts in all": lambda: corpus(WORDS, 2, (10, 400)),
    "90 % in one class": lambda: corpus(WORDS, 2, SIZES, (0.9, 0.1)),
    "90 % in one class, of 10": lambda: corpus(WORDS, 10, SIZES, (0.91, *[0.01] * 9)),
    "texts of one character": lambda: corpus(single, 2, SIZES),
    "texts of a megabyte": lambda: corpus(megabyte, 2, (20, 20)),
    "words of 100,000 letters": lambda: corpus(one_word, 2, (100, 100)),
    "empty texts": lambda: corpus(lambda rng, k: "", 2, SIZES),
    "nothing to learn": lambda: corpus(nothing, 2, SIZES),
    "one class": lambda: corpus(WORDS, 1, SIZES),
    "Chinese": lambda: corpus(of_script(CHINESE, "zh", ""), 2, SIZES),
    "Chinese, told by the order of characters": lambda: corpus(shared_characters, 2, SIZES),
    "Arabic": lambda: corpus(of_script(ARABIC, "ar"), 2, SIZES),
    "Hindi": lambda: corpus(of_script(HINDI, "hi"), 2, SIZES),
    "Hindi, told by vowel signs": lambda: corpus(of_script(VOWELS, "hi"), 2, SIZES),
    "Finnish": lambda: corpus(inflected, 2, SIZES),
    "Thai": lambda: corpus(of_script(THAI, "th", ""), 2, SIZES),
    "Japanese, kana alone": lambda: corpus(of_script(JAPANESE, "ja", ""), 2, SIZES),
}
NOTHING = {"empty texts", "nothing to learn"}  # nothing is there to learn
FEW = {"1 text per class, 2 classes", "1 text per class, 100 classes"}  # no text can be held out
ASKED: dict[str, list[dict[str, object]]] = {
    **{name: [{}, {"valid": 0}] for name in FEW},
    "1,000 classes": [{"epochs": 20}],  # by itself it would read them 794 times
}


def row(name: str, made: Corpus, settings: dict[str, Any]) -> dict[str, Any]:
    """Train on a corpus; return what became of it."""
    start = time.process_time()
    asked = ", ".join(f"{name}={value}" for name, value in settings.items())
    sizes = {"corpus": name, "classes": len({*made.labels}), "texts": len(made.texts), "asked": asked}
    try:
        classifier = WaveClassifier(**settings).fit(made.texts, made.labels)
    except (ValueError, DataError) as error:
        return sizes | {"accuracy": "", "chance": "", "p": "", "result": f"refused: {error}", "CPU s": ""}
    right = int(np.sum(classifier.predict(made.test) == np.array(made.test_labels)))
    n, chance = len(made.test), np.bincount(made.test_labels).max() / len(made.test)
    p = float(binom.sf(right - 1, n, chance))
    return sizes | {
        "accuracy": f"{right / n:.1%}",
        "chance": f"{chance:.1%}",
        "p": shown(p),
        "result": "learned" if p < LEVEL else "not learned",
        "CPU s": f"{time.process_time() - start:.0f}",
    }


def shown(p: float) -> str:
    """Write a probability.

    >>> shown(0.0), shown(0.00123), shown(0.25)
    ('< 1e-99', '1e-03', '0.25')
    """
    return "< 1e-99" if p < 1e-99 else f"{p:.0e}" if p < LEVEL else f"{p:.2f}"


def main() -> None:
    rows = []
    for name, make in CORPORA.items():
        made = make()
        for settings in ASKED.get(name, [{}]):
            rows.append(row(name, made, settings))
            print(rows[-1], flush=True)
    notes = (
        "`asked` is what was asked for beside the defaults of `WaveClassifier()`. Test texts have every class"
        f" as often. Learned: p < {LEVEL}. Load average {os.getloadavg()[0]:.1f}."
    )
    write("corpora", "Corpora of odd shapes and scripts, SMALL", rows, notes)
    assert all((found["result"] != "not learned") != (found["corpus"] in NOTHING) for found in rows)


if __name__ == "__main__":
    main()
