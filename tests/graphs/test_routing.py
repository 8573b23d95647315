"""Which agent a message is for, by rules alone."""

import time

import pytest

from graphs.catalog import Turn
from graphs.router.rules import LONG, choose

AGENTS = {"temporal", "coding", "research", "content"}

MESSAGES = {
    "coding": [
        "Write a Python function that reverses a linked list.",
        "write quicksort in Rust",
        "Implement binary search",
        "Can you please debug this script?",
        "Could you create a REST API endpoint with FastAPI that returns the time",
        "Write unit tests for my parser",
        "refactor the class so that it has no global state",
        "how do I read a CSV file in python?",
        "I need a bash script that deletes old logs",
        "Write a SQL query that counts users per day",
        "Write a python function that writes a poem",
        "Fix the bug in this code: ```def f(x): return y```",
        "Why does this fail?\nTraceback (most recent call last):\n  File 'a.py'\nKeyError: 'x'",
        "Translate this function to JavaScript",
        "पायथन में एक फ़ंक्शन लिखो जो सूची को उलट दे",
        "सूची उलटने का पायथन फ़ंक्शन लिखिए",
        "ek python function likho jo list ko ulta kare",
        "mujhe java mein ek program chahiye",
    ],
    "content": [
        "write a blog post about python functions",
        "Write a story about a programmer's code",
        "Create a script for a short video about bees",
        "please write an email to my landlord",
        "Write 500 words on the monsoon",
        "Tell me a story about a fox",
        "Draft a LinkedIn post from the video",
        "Compose a poem about rain in Kochi",
        "make a newsletter for our customers",
        "Write a tutorial on growing tomatoes",
        "Write a blog post about the talk in the video",
        "मानसून पर एक ब्लॉग पोस्ट लिखिए",
        "पायथन फ़ंक्शन पर एक लेख लिखो",
        "दीवाली पर निबंध लिखें",
        "chai par ek kavita likho",
    ],
    "research": [
        "Research the health effects of coffee",
        "Compare sources on the causes of the 1857 rebellion",
        "Write a report on solar power in India",
        "report on the state of water policy in Kerala",
        "Investigate whether vitamin D helps against colds",
        "please do some research on heat pumps",
        "Find papers on graph neural networks",
        "What does the research say about sleep and memory?",
        "Prepare a literature review on aspirin",
        "fact-check the claim that bats are blind",
        "सौर ऊर्जा पर शोध करो",
        "जल नीति पर एक रिपोर्ट तैयार करो",
        "solar energy par research karo",
    ],
    "temporal": [
        "When does she mention Paris?",
        "What does the guide say about the mirror?",
        "Who wrote the script of the film?",
        "What is a python function?",
        "Where was the mirror built?",
        "summarise the video",
        "Make a list of the topics in the video",
        "give me a summary of the article",
        "List the functions mentioned in the lecture",
        "Explain how the telescope works",
        "tell me the story of the film",
        "What happened just before the applause?",
        "Is the report signed?",
        "mirror segments",
        "What did they decide about the code in the meeting?",
        "review the film",
        "Translate what she says into Hindi",
        "Which programming language does the speaker recommend?",
        "How many pages does the research report have?",
        "write down what the speaker says in the video",
        "शीशा कब बना?",
        "वीडियो में क्या कहा गया है?",
        "video mein kya dikhta hai?",
        "कोड के बारे में वक्ता ने क्या कहा?",
    ],
}


@pytest.mark.parametrize(("agent", "message"), [(agent, each) for agent, said in MESSAGES.items() for each in said])
def test_one_agent(agent: str, message: str) -> None:
    route = choose(message, [], AGENTS)
    assert route is not None
    assert [(part.agent, part.question) for part in route.parts] == [(agent, message)]
    assert route.parts[0].why


@pytest.mark.parametrize(
    "message",
    [
        "Describe the video",
        "please summarise this film",
        "analyze the whole clip",
        "Make subtitles for the video",
        "Create a storyboard of the film",
        "write study notes from the recording",
    ],
)
def test_a_whole_video_is_for_its_agent_where_there_is_one(message: str) -> None:
    for among, agent in ((AGENTS | {"video"}, "video"), (AGENTS, "temporal")):
        route = choose(message, [], among)
        assert route is not None
        assert [part.agent for part in route.parts] == [agent]


@pytest.mark.parametrize("message", ["make something nice for tomorrow", "design a logo", "prepare our launch"])
def test_what_rules_cannot_tell_is_left_to_a_model(message: str) -> None:
    assert choose(message, [], AGENTS) is None


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (
            "Research the health effects of coffee and tea and write a blog post about it",
            [("research", None), ("content", 0)],
        ),
        (
            "Write a python function that sorts words. Then write a tutorial about it.",
            [("coding", None), ("content", 0)],
        ),
        (
            "When was the mirror built? And write a python function that reverses a string.",
            [("temporal", None), ("coding", None)],
        ),
        ("When was the mirror built? Who is the speaker?", [("temporal", None), ("temporal", None)]),
        ("What is he holding? Is it a book?", [("temporal", None)]),
        ("Write a function that adds numbers and write tests for it and fix what is wrong", [("coding", None)]),
        ("When does she speak and what does she say?", [("temporal", None)]),
        (
            "What is said about dams? Research dams in India, then write a blog post based on the findings",
            [("temporal", None), ("research", None), ("content", 1)],
        ),
        ("सौर ऊर्जा पर शोध करो और इस पर एक ब्लॉग पोस्ट लिखो", [("research", None), ("content", 0)]),
        ("One? Two? Three? Four? Five?", [("temporal", None)] * 3),
    ],
)
def test_several_parts(message: str, parts: list[tuple[str, int | None]]) -> None:
    route = choose(message, [], AGENTS)
    assert route is not None
    assert [(part.agent, part.after) for part in route.parts] == parts
    words = " ".join(part.question for part in route.parts)
    assert [
        word for word in message.split() if word.strip(",.") not in words and word not in {"and", "then", "और"}
    ] == []


@pytest.mark.parametrize(
    ("before", "message", "agent", "recalls"),
    [
        ("content", "make it shorter", "content", False),
        ("coding", "now in JavaScript", "coding", False),
        ("coding", "in Rust, please", "coding", False),
        ("coding", "why did you use a set?", "coding", False),
        ("coding", "When was the mirror built?", "temporal", False),
        ("coding", "what does the speaker say about it in the video?", "temporal", False),
        ("coding", "Write a blog post about this", "content", True),
        ("research", "and what about children?", "research", False),
        ("research", "Write a poem about the monsoon", "content", False),
        ("temporal", "and when is it shown again?", "temporal", False),
        ("temporal", "write a blog post about it", "content", True),
        ("content", "इसे छोटा करो", "content", False),
        ("content", "ise chhota karo", "content", False),
        ("content", "Research coffee and write a blog post about it", "research", False),
    ],
)
def test_follow_ups(before: str, message: str, agent: str, recalls: bool) -> None:
    route = choose(message, [Turn(question="something", answer="an answer", agent=before)], AGENTS)
    assert route is not None
    assert (route.parts[0].agent, route.parts[0].recalls) == (agent, recalls)


@pytest.mark.parametrize(
    ("message", "agent"),
    [
        ("Use the weather tool for Kochi", "assistant"),
        ("What is open in my git hub?", "assistant"),
        ("ask git-hub for the open issues", "assistant"),
        ("Post this via MCP", "assistant"),
        ("Which tool does she use in the video?", "temporal"),
        ("What is a hub?", "temporal"),
    ],
)
def test_tools_and_servers_that_are_named(message: str, agent: str) -> None:
    route = choose(message, [], {*AGENTS, "assistant"}, ["git_hub"])
    assert route is not None
    assert route.parts[0].agent == agent


def test_a_conversation_that_does_not_say_who_answered() -> None:
    turns = [
        Turn(question="Write a poem about rain", answer="Drip."),
        Turn(question="make it longer", answer="Drip, drop."),
    ]
    route = choose("and a bit more cheerful", turns, AGENTS)
    assert route is not None
    assert route.parts[0].agent == "content"


def test_an_agent_that_is_not_installed() -> None:
    route = choose("Write a Python function that adds", [], {"temporal", "content"})
    assert route is not None
    assert route.parts[0].agent == "temporal"
    assert "no coding agent" in route.parts[0].why


@pytest.mark.parametrize(
    "text", ["and write a poem " * 5_000, "a" * 100_000, "? " * 50_000, "script for " * 9_000, "; " * 50_000]
)
def test_long_messages_cost_little(text: str) -> None:
    began = time.perf_counter()
    route = choose(text, [], AGENTS)
    assert time.perf_counter() - began < 0.5
    assert route is None or len(route.parts) == 1


def test_the_order_stands_before_or_after_a_pasted_text() -> None:
    paper = "The dam was finished in 1975. It holds back the Periyar. " * (LONG // 40)
    for message in (f"Write a blog post about this text:\n{paper}", f"{paper}\nWrite a blog post about this."):
        route = choose(message, [], AGENTS)
        assert route is not None
        assert route.parts[0].agent == "content"
