"""The kinds of writing there are: their shape, their lengths and what a section of them is asked to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

ContentType = Literal[
    "article",
    "blog_post",
    "report",
    "essay",
    "story",
    "script",
    "poem",
    "manual",
    "guide",
    "tutorial",
    "social_post",
    "newsletter",
]
Style = Literal["professional", "casual", "academic", "persuasive", "technical", "creative"]
Size = Literal["short", "medium", "long"]
Shape = Literal["sections", "prose", "scenes", "verse", "post"]


@dataclass(frozen=True)
class Kind:
    """`words` are those of each size. `parts` name what stands where: the headings to fall back on, or what a part
    without a printed heading is about. `ask` says how a part is written; `factual` that readers take it for true."""

    name: str
    shape: Shape
    parts: tuple[str, ...]
    ask: str = "in plain paragraphs"
    words: tuple[int, int, int] = (250, 600, 1200)
    factual: bool = True
    steps: bool = False
    a_part: int = 150


_STEPS = "as short numbered steps, each on its own line, after one sentence that says what for"

KINDS: Mapping[ContentType, Kind] = {
    "article": Kind(
        "an article",
        "sections",
        ("What it is", "Why it matters", "How it works", "Examples", "Limits", "What comes next", "The wider view"),
    ),
    "blog_post": Kind(
        "a blog post",
        "sections",
        ("Where it starts", "What to know", "How to begin", "A closer look", "Common mistakes", "What to take along"),
        "in lively paragraphs that speak to the reader as «you»",
    ),
    "report": Kind(
        "a report",
        "sections",
        ("Summary", "Background", "Findings", "Discussion", "Risks", "Recommendations", "Conclusion"),
        "in sober paragraphs without opinions of your own",
    ),
    "essay": Kind(
        "an essay",
        "prose",
        (
            "the question and the claim",
            "the first argument with an example",
            "the second argument with an example",
            "the strongest objection and the answer to it",
            "what follows from all this",
        ),
        "as connected reasoning",
    ),
    "story": Kind(
        "a story",
        "prose",
        (
            "the opening: who and where",
            "the trouble begins",
            "a first attempt that fails",
            "the turn",
            "the ending, quiet and complete",
        ),
        "as a scene that goes on from what was told, with some direct speech",
        factual=False,
    ),
    "script": Kind(
        "a screenplay",
        "scenes",
        ("INT. KITCHEN - MORNING", "EXT. STREET - DAY", "INT. WORKSHOP - EVENING", "EXT. ROOF - NIGHT"),
        "as a scene: one line of action, then lines of dialogue, each as NAME: words, with the same two or three names",
        factual=False,
        a_part=250,
    ),
    "poem": Kind(
        "a poem", "verse", ("the poem",), "in stanzas of four short lines", words=(60, 120, 240), factual=False
    ),
    "manual": Kind(
        "a user manual",
        "sections",
        ("Overview", "Before you start", "Setting up", "Daily use", "Care", "When something goes wrong", "Safety"),
        _STEPS,
        steps=True,
    ),
    "guide": Kind(
        "a guide",
        "sections",
        ("What you need to know", "Preparing", "Doing it", "Checking the result", "Going further", "Common questions"),
        _STEPS,
        steps=True,
    ),
    "tutorial": Kind(
        "a tutorial",
        "sections",
        ("What you will learn", "What you need", "First steps", "Building it up", "Testing it", "Where to go next"),
        _STEPS,
        steps=True,
    ),
    "social_post": Kind(
        "a social media post",
        "post",
        ("the post",),
        "in three very short sentences that make people stop, without hashtags",
        words=(35, 75, 150),
        factual=False,
    ),
    "newsletter": Kind(
        "a newsletter",
        "sections",
        ("In short", "What is new", "Worth knowing", "From the field", "Coming up"),
        "in short, friendly paragraphs",
        words=(250, 500, 900),
    ),
}

POST_CHARACTERS: Mapping[Size, int] = {"short": 280, "medium": 600, "long": 1_300}

TEMPERATURE: Mapping[Style, float] = {
    "professional": 0.4,
    "casual": 0.6,
    "academic": 0.3,
    "persuasive": 0.5,
    "technical": 0.2,
    "creative": 0.8,
}

MANNER: Mapping[Style, str] = {
    "professional": "clear and matter-of-fact",
    "casual": "relaxed and warm, in everyday words",
    "academic": "precise and measured, with careful reasoning",
    "persuasive": "convincing, with reasons that lead to one claim",
    "technical": "exact, with the proper terms explained once",
    "creative": "vivid, with concrete images and no worn-out phrases",
}

SIZES: tuple[Size, ...] = get_args(Size)
