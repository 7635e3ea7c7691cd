"""A planted corpus: newswire-like texts whose labels have known causes at known positions.

Every text is a headline and two sentences with 16 open places between plain words. It belongs to one
of four topics, in two halves of two: topic = 2·half + bit.

1. *Leaning words* fill five places. In a *told* text each is one of the text's own topic with
   probability 0.88 and of each other topic with 0.04.
2. A quarter of the texts are *paired*: each leaning word is one of either topic of the right half with
   0.46 and of each topic of the wrong half with 0.04, so they tell the half and not the bit. The bit is
   told by a colour and a material, one in the headline and one in the last sentence, in either order:
   it is 0 where a warm colour meets a metal or a cold one a stone, and 1 otherwise. Colours and
   materials are equally likely in every topic: alone neither says anything.
3. A told text holds a colour or a material without its partner, which means nothing.
4. Everyday words, most of them invented and the same for all topics, fill the rest.
5. The label is the topic, except that 4 % of the texts have one of the other three.

`accuracies` derives from this what a classifier can reach. The evidence of a text is the leaning words
of its topic if it is told, and the leaning words of its half, the colour and the material if paired.
The vocabulary is fixed; a seed draws texts. Only additions, products and comparisons of PCG64's
uniform numbers are used, so a seed gives the same texts everywhere.
"""

import functools
import itertools
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

__all__ = [
    "CLASSES",
    "COLOURS",
    "LEANING",
    "MATERIALS",
    "SIZE",
    "Accuracies",
    "Pairs",
    "Part",
    "Planted",
    "Spans",
    "accuracies",
    "generate",
    "pairs",
]

Part = Literal["train", "valid", "test"]
Spans = tuple[tuple[tuple[int, int], ...], ...]

SIZE = 20_000  # training texts
PAIRED, WRONG, NOISE = 0.25, 0.04, 0.04  # shares; WRONG is that of one wrong topic among leaning words
CLASSES = ("Harbour", "Orchard", "Stadium", "Theatre")  # half 0, half 0, half 1, half 1
LEANING = (
    "anchor barge buoy captain cargo crew dock ferry fleet harpoon jetty keel"
    " lighthouse mast mooring oar pier port quay rudder sail sailor tide trawler",
    "apple barn blossom cider crop farmer fence field fruit grain graft harvest"
    " hedge irrigation ladder meadow mill pear plough pollen seed soil tractor vineyard",
    "athlete ball bench coach cup defender fan final goal keeper league match"
    " medal pitch race referee rival score season sprint squad striker trophy whistle",
    "actor applause ballet chorus comedy costume curtain dancer drama encore opera orchestra"
    " overture play playwright prop rehearsal scene script singer stage tenor tragedy usher",
)
COLOURS = ("amber coral saffron scarlet", "azure cobalt indigo teal")  # warm, cold
MATERIALS = ("bronze copper nickel silver", "basalt granite marble slate")  # metals, stones
HEADLINES = (
    "_ and _ await word on _ _",
    "_ _ talks turn to _ and _",
    "no end in sight for _ _ as _ meets _",
    "_ to review _ after _ report on _",
    "why the _ of _ may need _ and _",
    "_ _ plan splits _ and _",
    "_ leaders back _ over _ and _",
    "new _ for _ brings _ closer to _",
)
SENTENCES = (
    "the _ of _ said that one _ and its _ would join the _ near _",
    "officials in _ told the _ that every _, _ and _ was counted before the _",
    "after talks, the _ asked _ to keep the _ and the _ apart from _ and _",
    "in a letter to _, the people of _ put the _ before the _, the _ and _",
    "a spokesman for _ said the _ had found one _ with some _ under the old _ of _",
    "this year _ and _ agreed to share the _, the _ and the _ with _",
    "the wait for one _ ended on Friday as _ sent its _ and one _ to the _ in _",
    "there was little _ in _, where the _, one _ and two kinds of _ met the _",
)
ENDINGS = (
    "the _ may reach _ within days, with one _, some _ and one _ for each _",
    "nobody in _ knows whether the _ or the _ came first, but the _ of _ called it the better _",
    "it was the first _ since _ lost one _ and one _ to the _ in _",
    "a report will say how much _ the _ of _ can take before the _, the _ and the _ run out",
    "_ has not seen such _ in years, said one _ who asked that the _, the _ and _ not be named",
    "others point to the _, which left _ without one _ and gave the _ one _ and one more _",
    "still, the _ in _ hopes that more _ and less _ will bring the _ to _",
    "the two sides meet in _ to settle the _, the _, one _, the _ and what is left of _",
)
HEAD, LAST, PLACES = 4, 10, 16  # places of a headline, before the last sentence, in all
LEANING_PLACES = 5


class Planted(NamedTuple):
    """Texts, labels, topics (labels before the noise), and the evidence as spans and as word indices.

    A span is (start, end) in characters, without punctuation; an index counts `text.split()`.
    """

    texts: tuple[str, ...]
    labels: Int32[np.ndarray, " n"]
    topics: Int32[np.ndarray, " n"]
    evidence: Spans
    words: tuple[tuple[int, ...], ...]


class Pairs(NamedTuple):
    """Texts with one label or two, as a matrix with a column a class."""

    texts: tuple[str, ...]
    labels: Bool[np.ndarray, "n 4"]


class Accuracies(NamedTuple):
    """What can be reached: at best, by adding up words, and by adding them up to the best log loss."""

    bayes: float
    additive: float
    bag_of_words: float


def generate(seed: int = 0, part: Part = "train", size: int = SIZE) -> Planted:
    """Generate the texts of one part (train, valid or test), a pure function of the arguments.

    >>> corpus = generate(size=1)
    >>> [corpus.texts[0][start:end] for start, end in corpus.evidence[0]]
    ['tragedy', 'usher', 'tragedy', 'ballet', 'play']
    """
    # the 3 keeps this stream apart from those of training, [seed, epoch, 0..2]: [0, 0] alone equals [0, 0, 0]
    path = np.random.SeedSequence([seed, get_args(Part).index(part), 3])
    draw = np.random.Generator(np.random.PCG64(path)).random
    topics = _pick(draw(size), 4)
    ids, carries = _fill(draw, topics)
    shape = _pick(draw((size, 3)), len(HEADLINES)) @ np.array([64, 8, 1])
    others = (topics + 1 + _pick(draw(size), 3)) % 4
    labels = np.where(draw(size) < NOISE, others, topics).astype(np.int32)
    texts, spans, words = zip(*map(_write, shape, ids, carries), strict=True)
    return Planted(texts, labels, topics.astype(np.int32), spans, words)


def pairs(seed: int = 0, part: Part = "train", size: int = SIZE) -> Pairs:
    """Join planted texts by twos: a text then has the labels of both, which are one where they agree.

    >>> pairs(size=4).labels.sum(axis=1).tolist()
    [2, 2, 1, 2]
    """
    drawn = generate(seed, part, 2 * size)
    texts = tuple(map(" ".join, zip(drawn.texts[:size], drawn.texts[size:], strict=True)))
    labels = np.zeros((size, len(CLASSES)), bool)
    for half in np.split(drawn.labels, 2):
        labels[np.arange(size), half] = True
    return Pairs(texts, labels)


def accuracies() -> Accuracies:
    """Compute the reachable accuracies from the construction.

    *Bayes*: with the topic most leaning words speak for (told) or their half and the bit of the pair
    (paired). *Additive*: a score Σ f_topic(word) cannot tell the bit, warm or cold against metal or
    stone being an exclusive or. Fix all else in a text; of its four equally likely pairs a score that
    gets all four bits right names both halves, so three pairs right in the likelier half and one in the
    other is more than it can reach. *Bag of words*: the best additive model by log loss; since colours
    and materials alone are independent of the label it ignores them and guesses the bit.

    >>> print("bayes {:.4f}, additive below {:.4f}, bag of words {:.4f}".format(*accuracies()))
    bayes 0.9540, additive below 0.8954, bag of words 0.8362
    """
    told = half = 0.0
    for leaning in itertools.product(range(4), repeat=LEANING_PLACES):  # the text being of topic 0
        counts = [leaning.count(topic) for topic in range(4)]
        best = counts[0] == max(counts)
        told += best / counts.count(max(counts)) * (1 - 3 * WRONG) ** counts[0] * WRONG ** sum(counts[1:])
        right = counts[0] + counts[1]
        half += (right > LEANING_PLACES / 2) * (0.5 - WRONG) ** right * WRONG ** (LEANING_PLACES - right)

    def labelled(paired: float) -> float:
        """Share of right labels where `paired` is the share of right topics among paired texts."""
        topic = (1 - PAIRED) * told + PAIRED * paired
        return (1 - NOISE) * topic + NOISE / 3 * (1 - topic)

    return Accuracies(labelled(half), labelled((3 * half + (1 - half)) / 4), labelled(half / 2))


def _fill(draw, topics: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, "n 16"], Bool[np.ndarray, "n 16"]]:
    """Draw word numbers for the 16 positions, and which of them carry the topic."""
    n, half, bit = len(topics), topics // 2, topics % 2
    everyday, zipf = _everyday()
    ids = np.searchsorted(zipf, draw((n, PLACES)) * zipf[-1], side="right")
    carries = np.zeros((n, PLACES), bool)

    paired = draw(n) < PAIRED
    cold = _pick(draw(n), 2)
    stone = np.where(paired, cold ^ bit, _pick(draw(n), 2))
    base = len(everyday) + 4 * 24
    colour, material = base + 4 * cold + _pick(draw(n), 4), base + 8 + 4 * stone + _pick(draw(n), 4)
    swap = draw(n) < 0.5
    ends = np.stack([_pick(draw(n), HEAD), LAST + _pick(draw(n), PLACES - LAST)], 1)
    pair = np.where(swap[:, None], np.stack([material, colour], 1), np.stack([colour, material], 1))
    stays = paired[:, None] | (_pick(draw(n), 2)[:, None] == [0, 1])
    free = draw((n, PLACES))
    row, end = np.nonzero(stays)
    ids[row, ends[row, end]] = pair[row, end]
    carries[row, ends[row, end]] = paired[row]
    free[row, ends[row, end]] = 2  # taken

    places = np.argsort(free, axis=1, kind="stable")[:, :LEANING_PLACES]
    u = draw(places.shape)
    leaning = np.where(paired[:, None], _lean_half(u, half[:, None]), _lean_topic(u, topics[:, None]))
    right = np.where(paired[:, None], leaning // 2 == half[:, None], leaning == topics[:, None])
    np.put_along_axis(ids, places, len(everyday) + 24 * leaning + _pick(draw(places.shape), 24), 1)
    np.put_along_axis(carries, places, right, 1)
    return ids, carries


def _pick(u: Float[np.ndarray, "*shape"], n: int) -> Int[np.ndarray, "*shape"]:
    """Turn uniform numbers in [0, 1) into uniform integers below n."""
    return (u * n).astype(int)


def _lean_topic(u: Float[np.ndarray, "n 5"], topic: Int[np.ndarray, "n 1"]) -> Int[np.ndarray, "n 5"]:
    """Draw the topic of each leaning word of a text whose words tell its topic."""
    wrong = np.minimum((u / WRONG).astype(int), 3)  # 0, 1, 2: one of the others; 3: its own
    return (topic + 1 + wrong) % 4


def _lean_half(u: Float[np.ndarray, "n 5"], half: Int[np.ndarray, "n 1"]) -> Int[np.ndarray, "n 5"]:
    """Draw the topic of each leaning word of a text whose topic a pair decides."""
    wrong, second = u < 2 * WRONG, np.where(u < 2 * WRONG, u >= WRONG, u >= 0.5 + WRONG)
    return 2 * (half ^ wrong) + second


@functools.cache
def _everyday() -> tuple[tuple[str, ...], Float[np.ndarray, " v"]]:
    """Invent words for everything without meaning, with cumulative weights 1 / (rank + 10)."""
    draw = np.random.Generator(np.random.PCG64(1)).random
    taken = {*" ".join((*LEANING, *COLOURS, *MATERIALS, *HEADLINES, *SENTENCES, *ENDINGS)).split()}
    words: dict[str, None] = {}
    while len(words) < 2_000:
        syllables = draw((2 + int(draw() < 0.4), 2))
        word = "".join("bdfgklmnprstvz"[int(14 * c)] + "aeiou"[int(5 * v)] for c, v in syllables)
        word += ["", "l", "n", "r", "s"][int(5 * draw())]
        if word not in taken:
            words[word] = None
    return tuple(words), np.cumsum([1 / (rank + 10) for rank in range(len(words))])


@functools.cache
def _vocabulary() -> tuple[str, ...]:
    """Return the words that fill positions: everyday, leaning by topic, warm, cold, metal, stone."""
    return (*_everyday()[0], *" ".join((*LEANING, *COLOURS, *MATERIALS)).split())


@functools.cache
def _template(shape: int) -> tuple[str, tuple[int, ...], tuple[int, ...], tuple[bool, ...]]:
    """Make a text with "{}" for its words; of each its start if all were empty, its word, whether first."""
    parts = HEADLINES[shape // 64], SENTENCES[shape // 8 % 8], ENDINGS[shape % 8]
    text = " ".join(part[0].upper() + part[1:] + "." for part in parts)
    pieces = text.split("_")
    starts = tuple(itertools.accumulate(map(len, pieces[:-1])))
    words = tuple(i for i, word in enumerate(text.split()) if "_" in word)
    return "{}".join(pieces), starts, words, tuple(not p or p.endswith(". ") for p in pieces[:-1])


def _write(shape, ids, carries) -> tuple[str, tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Write one text with its evidence."""
    template, starts, indices, first = _template(int(shape))
    vocabulary = _vocabulary()
    words = [
        vocabulary[i].capitalize() if f else vocabulary[i] for i, f in zip(ids.tolist(), first, strict=True)
    ]
    ends = list(itertools.accumulate(map(len, words)))
    at = np.flatnonzero(carries).tolist()
    spans = tuple((starts[k] + ends[k] - len(words[k]), starts[k] + ends[k]) for k in at)
    return template.format(*words), spans, tuple(indices[k] for k in at)
