"""The steps of the temporal agent. Rules come before models: a plain question costs one chat call, at most two."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langgraph.runtime import Runtime
from langgraph.types import Command, Overwrite, Send

from graphs.context import Context
from graphs.events import Answer, Citation, Cited, Evidence
from graphs.speak import speak
from graphs.temporal.answering import compose, extract, nothing, trusted
from graphs.temporal.arriving import arriving, first_look, unseen, warming
from graphs.temporal.evidence import cite, fuse, place, readable
from graphs.temporal.memory import around, look, scopes, where_of
from graphs.temporal.phrases import Phrase
from graphs.temporal.pinpoint import pinpoint_by_rule
from graphs.temporal.state import Plan, Search, State
from graphs.temporal.understand import general, hinted, language_of, resolve, sought
from graphs.temporal.verify import Judged, judge_all, refuses
from graphs.temporal.words import coverage
from knowledge.moments import TimeCondition, parse_time
from knowledge.segment import Modality
from knowledge.store import Where
from tools.bench import Bench
from tools.catalog import Row
from tools.chat.roles import chat_model
from tools.embedding_tools import RerankInput, rerank
from tools.errors import BudgetSpent, SutradharError

DOCUMENTS = "recall_documents"

SEARCHES: dict[str, list[Modality]] = {
    "recall_speech": ["speech", "caption"],
    "recall_screen_text": ["screen_text"],
    DOCUMENTS: ["page", "table", "image"],
    "recall_objects": ["object", "face", "scene", "sound", "event", "series"],
}
"""The parallel searches: node names and the kinds of memory that each looks through."""

REFUSE_BELOW = -4.0
"""Cross-encoder logit under which no passage answers: on XQuAD the right paragraph is above it for 49 questions of 50,
and without that paragraph the best of the others is below it for more than half."""

SURE_FROM = 2.0
"""Logit from which the evidence is taken to answer: the model is then not offered to say that it does not, which small
ones are glad to do. Nine of ten right paragraphs reach it, one of ten others."""

CERTAIN_FROM = 5.0
"""Logit from which a model that finds no answer is not believed; none of 50 other paragraphs reached it."""

WEIGHED = 6
"""Passages that the cross-encoder reads, at about 50 ms each on two idle cores."""

ANCHORED = 0.5
"""Share of an anchor's words that a moment has when documents, which have no times, need not be searched too."""

DRAFT_TOKENS = 120

SMALL, LARGE = (300, 4), (2_400, 8)
"""Tokens and passages of evidence in the prompt: on two cores, which read 65 tokens a second, and on a GPU."""


@cache
def prompt(name: str) -> str:
    return files("graphs.temporal").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()


async def understand(state: State, runtime: Runtime[Context]) -> State:
    """Read the question by rules: language, kind, time conditions, and what a follow-up refers to."""
    language = language_of(state["question"])
    times = TimeCondition(rest=state["question"])
    if not state.get("timeless"):
        times = parse_time(state["question"], now=state["now"], language=language)
    question, topic, kind = resolve(state["question"], times, state.get("turns", []), language)
    where = where_of(times, state.get("knowledge_bases", []), state.get("sources", []))
    scope = Where(knowledge_bases=where.knowledge_bases, sources=where.sources)
    plan = Plan(question=question, topic=topic, language=language, kind=kind, times=times, where=where, scope=scope)
    return {"plan": plan, "found": Overwrite([])}  # type: ignore[typeddict-item]


def after_understanding(state: State) -> list[Send]:
    return [Send("locate", state)] if state["plan"].times.relation else searches(state)


def searches(state: State) -> list[Send]:
    """One search for each kind of memory that the question may be about, side by side."""
    return [Send(node, Search(plan=state["plan"], modalities=kinds)) for node, kinds in SEARCHES.items()]


async def locate(state: State, runtime: Runtime[Context]) -> State:
    """Find what the question takes its bearings from, such as the applause, and look only around it."""
    plan, relation = state["plan"], state["plan"].times.relation
    if relation is None:
        return {}
    timed: list[Modality] = [kind for node in SEARCHES if node != DOCUMENTS for kind in SEARCHES[node]]
    found = await look(_bench(runtime), relation.anchor, [plan.where], timed)
    wanted = sought(relation.anchor, "moment")
    best = fuse([each for each in found if each.segment.start is not None], wanted, (), 1)
    if not best:
        return {}
    # something is always nearest; only its words say that it is what was meant
    anchored = coverage(wanted, best[0].segment.text) >= ANCHORED
    return {"plan": plan.model_copy(update={"where": around(plan, best[0].segment), "anchored": anchored})}


async def recall(state: Search, runtime: Runtime[Context]) -> State:
    """Search one kind of memory by meaning and words, within the question's times."""
    plan, kinds, bench = state["plan"], state["modalities"], _bench(runtime)
    if kinds == SEARCHES[DOCUMENTS]:
        # a page has no time of its own: «in 1991» or «after the merger» is then a part of what is asked
        in_a_medium = plan.times.media is not None or plan.anchored
        return {"found": [] if in_a_medium else await look(bench, plan.question, [plan.scope], kinds)}
    found = await look(bench, plan.topic, await scopes(bench, plan), kinds)
    if not found and plan.where.recorded_from is not None:
        undated = plan.where.model_copy(update={"recorded_from": None, "recorded_to": None})
        found = await look(bench, plan.question, [undated], kinds)
    return {"found": found}


async def gather(
    state: State, runtime: Runtime[Context]
) -> Command[Literal["linger", "weigh", "pinpoint", "draft", "__end__"]]:
    """Fuse what the searches found and show it at once."""
    plan = state["plan"]
    evidence = cite(fuse(state.get("found", []), sought(plan.topic, plan.kind), hinted(plan.question)))
    if not evidence and not state.get("lingered") and unseen(await arriving(_bench(runtime), plan.scope)):
        return Command(goto="linger")
    runtime.context.emit(Evidence(moments=evidence))
    if not evidence:
        return Command(update=await _unanswered(plan, runtime), goto="__end__")
    update: State = {"evidence": evidence}
    if plan.language == "en":
        return Command(update=update, goto="weigh")
    return Command(update=update, goto="pinpoint" if plan.kind == "moment" else "draft")


async def linger(state: State, runtime: Runtime[Context]) -> State:
    """Wait for the first look at what has just been brought, and search once more."""
    bench = _bench(runtime)
    async with warming(bench, _writer(bench)):
        await first_look(bench, state["plan"].scope)
    return {"lingered": True, "found": Overwrite([])}  # type: ignore[typeddict-item]


async def weigh(state: State, runtime: Runtime[Context]) -> Command[Literal["pinpoint", "draft", "__end__"]]:
    """Score the evidence with the cross-encoder where one is installed; evidence that cannot answer ends the run."""
    plan = state["plan"]
    evidence = [each for each in state["evidence"] if language_of(each.text) == "en"][:WEIGHED]
    onward: Literal["pinpoint", "draft"] = "pinpoint" if plan.kind == "moment" else "draft"
    # the cross-encoder reads English; what it would say of other passages is no reason to refuse
    if not evidence or evidence[0] is not state["evidence"][0]:
        return Command(goto=onward)
    try:
        ranked = await _bench(runtime).call(
            rerank, RerankInput(query=plan.question, passages=[each.text[:1_500] for each in evidence])
        )
    except SutradharError:
        return Command(goto=onward)
    fits = {evidence[each.index].n: each.score for each in ranked.ranking}
    if plan.kind == "moment":
        return Command(update={"fits": fits}, goto="pinpoint")
    if not trusted(plan, evidence, fits, REFUSE_BELOW):
        return Command(update=await _unanswered(plan, runtime), goto="__end__")
    ordered = sorted(state["evidence"], key=lambda each: -fits.get(each.n, -100.0))
    return Command(update={"fits": fits, "evidence": ordered}, goto="draft")


async def pinpoint(state: State, runtime: Runtime[Context]) -> Command[Literal["__end__"]]:
    """Answer «when …» with the times of the evidence itself; no model is needed to read a clock."""
    answer = pinpoint_by_rule(state["plan"], state["evidence"], state.get("fits", {}))
    _cite_aloud(runtime, answer)
    return Command(update={"answer": answer}, goto="__end__")


async def draft(state: State, runtime: Runtime[Context]) -> Command[Literal["verify", "__end__"]]:
    """Write one or two sentences with marks, streamed; where no model can, the evidence speaks for itself."""
    plan, evidence = state["plan"], state["evidence"]
    row = _writer(runtime.context.bench)
    if row is None:
        return Command(update=await _quoted(state, runtime, "no_model"), goto="__end__")
    if row.languages and not {plan.language, language_of(evidence[0].text)} <= set(row.languages):
        return Command(update=await _quoted(state, runtime, "only_english"), goto="__end__")
    tokens, passages = SMALL if row.device == "cpu" else LARGE
    shown = readable(evidence, sought(plan.question, "fact"), tokens, passages)
    sure = _sure(plan, state.get("fits", {}), SURE_FROM)
    quotable, messages = " ".join(shown.values()), _question(plan, evidence, shown, sure=sure)
    try:
        text = await speak(
            runtime.context, "writing", messages, most_tokens=DRAFT_TOKENS, quotable=quotable, aloud=True
        )
    except BudgetSpent:
        raise
    except SutradharError:
        return Command(update=await _quoted(state, runtime, "no_model"), goto="__end__")
    return Command(update={"draft": text}, goto="verify")


async def verify(state: State, runtime: Runtime[Context]) -> State:
    """Keep the sentences that their evidence supports; ask a model at most once where the rules cannot tell."""
    plan, evidence = state["plan"], state["evidence"]
    judged = judge_all(state["draft"], evidence, plan.question)
    kept = [each for each in judged if each.verdict == "supported"]
    unsure = [each for each in judged if each.verdict == "unsure" and not refuses(each.text)]
    if unsure and not kept and await _confirmed(runtime, unsure[0]):
        kept = unsure[:1]
    if kept:
        answer = compose(kept)
    elif refuses(state["draft"]) and not _sure(plan, state.get("fits", {}), CERTAIN_FROM):
        answer = nothing(plan)
    else:
        answer = extract(plan, evidence, "weak_model", state.get("fits", {}))
    if not answer.answered:
        return await _unanswered(plan, runtime)
    _cite_aloud(runtime, answer)
    return {"answer": answer}


async def _unanswered(plan: Plan, runtime: Runtime[Context]) -> State:
    """Not in the material, as far as it is known: what is still being ingested is named."""
    late = await arriving(_bench(runtime), plan.scope)
    return {"answer": nothing(plan, [each.name for each in late])}


async def _confirmed(runtime: Runtime[Context], judged: Judged) -> bool:
    passage = " ".join(each.text for each in judged.evidence)[:800]
    asked = f"Passage: {passage}\n\nStatement: {judged.text}\n\nDoes the passage say this?"
    messages: list[BaseMessage] = [SystemMessage(prompt("check")), HumanMessage(asked)]
    try:
        said = await speak(runtime.context, "judge", messages, most_tokens=3)
    except SutradharError:
        return False
    return said.strip().lower().startswith("yes")


def _question(plan: Plan, evidence: Sequence[Citation], shown: dict[int, str], *, sure: bool) -> list[BaseMessage]:
    places = {each.n: place(each) for each in evidence}
    lines = [f"[{n}] ({places[n]}) {text}" for n, text in shown.items()]
    asked = f"Evidence:\n{chr(10).join(lines)}\n\nQuestion: {plan.question}"
    return [SystemMessage(prompt("draft" if sure else "draft_unsure")), HumanMessage(asked)]


def _sure(plan: Plan, fits: Mapping[int, float], least: float) -> bool:
    return general(plan.question) or max(fits.values(), default=least - 1) >= least


async def _quoted(state: State, runtime: Runtime[Context], why: Phrase) -> State:
    answer = extract(state["plan"], state["evidence"], why, state.get("fits", {}))
    if not answer.answered:
        return await _unanswered(state["plan"], runtime)
    _cite_aloud(runtime, answer)
    return {"answer": answer}


def _writer(bench: Bench) -> Row | None:
    try:
        return chat_model(bench, "writing").row
    except SutradharError:
        return None


def _cite_aloud(runtime: Runtime[Context], answer: Answer) -> None:
    for citation in answer.citations:
        runtime.context.emit(Cited(citation=citation))


def _bench(runtime: Runtime[Context]) -> Bench:
    return runtime.context.bench
