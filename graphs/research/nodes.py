"""The steps of the research agent. Rules choose, quote and compare; a model only proposes questions and a summary."""

import asyncio
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.runtime import Runtime
from langgraph.types import Command, Overwrite, Send

from graphs.context import Context
from graphs.events import Citation, Cited, Evidence
from graphs.research import checking, extracting, seeking
from graphs.research.passages import load, stands
from graphs.research.reading import read_memory, read_pages
from graphs.research.state import Claim, Conflict, Lane, Lead, Missed, Place, Plan, Search, Source, State
from graphs.research.telling import SUMMARY_TOKENS, material_of, publish, statements, summary_of
from graphs.speak import speak
from graphs.temporal.understand import language_of
from knowledge.store import Where
from knowledge.tools import RecallInput, recall
from tools.bench import Bench
from tools.errors import BudgetSpent, SutradharError
from tools.web.engines import Kind
from tools.web.searching import SearchWebInput, search_web

SEARCHES: dict[str, Kind] = {
    "search_web": "web",
    "search_papers": "papers",
    "search_encyclopaedia": "encyclopaedia",
}
READERS = 3
WAVES = 2
"""Times that reserves are read in place of what could not be."""

READ_UNTIL, SPEAK_UNTIL = 0.55, 0.75
"""Shares of the run's seconds after which nothing more is fetched, and no model is asked: a report is worth more."""

JUDGED = {"low": 0, "medium": 2, "high": 5}
PLAN_TOKENS, JUDGE_TOKENS = 140, 3


@cache
def prompt(name: str) -> str:
    return files("graphs.research").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()


async def plan(state: State, runtime: Runtime[Context]) -> State:
    """The sub-questions: the topic itself, then a model's, or for want of one those that fit any topic."""
    topic, most = " ".join(state["topic"].split()), seeking.QUESTIONS[state["options"].depth]
    asked, missed = list[str](), list[Missed]()
    if most > 1:
        try:
            messages = [SystemMessage(prompt("plan")), HumanMessage(f"Topic: {topic[:600]}\nQuestions: {most - 1}")]
            said = await speak(runtime.context, "reasoning", messages, most_tokens=PLAN_TOKENS)
            asked = seeking.questions_in(said, topic, most - 1)
        except SutradharError as error:
            missed = [Missed(what="Sub-questions of a model", reason=error.message)]
        asked = asked or seeking.facets(topic, most - 1)
    made = Plan(
        topic=topic,
        questions=(topic[:400], *asked),
        language=language_of(topic),
        knowledge_bases=tuple(state.get("knowledge_bases", [])),
        sources=tuple(state.get("within", [])),
    )
    urls = dict.fromkeys(map(seeking.canonical, state["options"].urls))
    given = [Lead(place="given", key=url, title=url, question=0, rank=rank) for rank, url in enumerate(urls)]
    # a thread may have been asked before: what its last run gathered is not this one's
    return {
        "plan": made,
        "leads": Overwrite(given),  # type: ignore[typeddict-item]
        "read": Overwrite([]),  # type: ignore[typeddict-item]
        "missed": Overwrite(missed),  # type: ignore[typeddict-item]
    }


def searches(state: State) -> list[Send]:
    """One search for each kind of place, side by side."""
    search = Search(plan=state["plan"], limit=max(4, min(state["options"].sources * 2, 20)))
    nodes = ["search_memory", *(SEARCHES if state["options"].web else ())]
    return [Send(node, search) for node in nodes]


async def search_memory(state: Search, runtime: Runtime[Context]) -> State:
    """The sources of the knowledge bases that speak to any of the questions."""
    bench, asked, leads = runtime.context.bench, state["plan"], list[Lead]()
    where = Where(knowledge_bases=list(asked.knowledge_bases), sources=list(asked.sources))
    try:
        for index, question in enumerate(asked.questions):
            found = await bench.call(
                recall, RecallInput(question=question, where=where, limit=state["limit"], neighbour_seconds=0)
            )
            leads += [
                Lead(
                    place="memory",
                    key=group.source,
                    title=group.name,
                    question=index,
                    rank=rank,
                    knowledge_base=group.knowledge_base,
                )
                for rank, group in enumerate(found.groups)
                if group.evidence
            ]
    except SutradharError as error:
        return {"leads": leads, "missed": [Missed(what="The knowledge bases", reason=error.message)]}
    return {"leads": leads}


def searcher(node: str, kind: Kind) -> Any:
    """The node that searches one kind of place outside."""

    async def search_outside(state: Search, runtime: Runtime[Context]) -> State:
        bench, asked, place = runtime.context.bench, state["plan"], _PLACES[kind]
        leads, failed = list[Lead](), list[Missed]()
        for index, question in enumerate(asked.questions):
            input = SearchWebInput(query=question[:400], kind=kind, limit=state["limit"], language=asked.language)
            try:
                results = (await bench.call(search_web, input)).results
            except SutradharError as error:
                # what cannot be asked once cannot be asked again for the next question
                failed = [Missed(what=_NAMES[kind], reason=str(error))]
                break
            leads += [
                Lead(
                    place=place,
                    key=seeking.canonical(each.url),
                    title=each.title,
                    question=index,
                    rank=rank,
                    published=each.published,
                )
                for rank, each in enumerate(results)
            ]
        return {"leads": leads, "missed": failed}

    search_outside.__name__ = node
    return search_outside


_PLACES: dict[Kind, Place] = {"web": "web", "papers": "papers", "encyclopaedia": "encyclopaedia"}
_NAMES: dict[Kind, str] = {"web": "Web search", "papers": "Papers (arXiv)", "encyclopaedia": "Wikipedia"}


async def choose(state: State, runtime: Runtime[Context]) -> Command[Literal["read", "report"]]:
    """What to read of what was found; nothing but what a search or a person named is ever read."""
    chosen = seeking.choose(state["leads"], state["options"].sources)
    if not chosen:
        missed = Missed(what="Reading", reason="No search found anything on this topic.")
        return Command(update={"missed": [missed], "chosen": []}, goto="report")
    return Command(update={"chosen": chosen, "waves": 1}, goto=_readers(state["plan"], list(enumerate(chosen, 1))))


def _readers(asked: Plan, numbered: Sequence[tuple[int, Lead]]) -> list[Send]:
    return [Send("read", Lane(plan=asked, leads=lane)) for lane in seeking.lanes(numbered, READERS)]


async def read(state: Lane, runtime: Runtime[Context]) -> State:
    """Read some of the leads, for as long as the run has time for it."""
    bench, context, done, missed = runtime.context.bench, runtime.context, list[Source](), list[Missed]()
    for n, lead in state["leads"]:
        if _used(context) > READ_UNTIL:
            missed.append(Missed(what=lead.title, reason="The run's time was needed for the report."))
        elif lead.place == "memory":
            try:
                made: Source | Missed = await read_memory(bench, state["plan"], n, lead)
            except SutradharError as error:
                made = Missed(what=lead.title, reason=error.message)
            if isinstance(made, Source):
                done.append(made)
            else:
                missed.append(made)
    pages = [each for each in state["leads"] if each[1].place != "memory"]
    if pages and _used(context) <= READ_UNTIL:
        sources, unread = await read_pages(bench, pages)
        done, missed = done + sources, missed + unread
    return {"read": done, "missed": missed}


async def extract(state: State, runtime: Runtime[Context]) -> Command[Literal["read", "compare"]]:
    """Choose the sentences that answer; read reserves first where too little could be read."""
    options, bench = state["options"], runtime.context.bench
    short = options.sources - len(state["read"])
    reserves = seeking.choose(state["leads"], max(short, 0), state["chosen"])
    if short > 0 and reserves and state["waves"] <= WAVES and _used(runtime.context) < READ_UNTIL:
        first = len(state["chosen"]) + 1
        update: State = {"chosen": [*state["chosen"], *reserves], "waves": state["waves"] + 1}
        return Command(update=update, goto=_readers(state["plan"], list(enumerate(reserves, first))))
    sources = checking.without_copies(state["read"])
    heard = [each for each in sources if each.same_as is None]
    texts = {each: await load(bench, each.passages) for each in heard}
    claims = await extracting.extract(bench, state["plan"], texts, options.depth)
    by_number = {each.n: passages for each, passages in texts.items()}
    claims = [each for each in claims if stands(each, by_number[each.source])]
    names = {each.n: each for each in sources}
    runtime.context.emit(Evidence(moments=[_cited(each, names[each.source]) for each in claims[:12]]))
    return Command(update={"sources": sources, "claims": claims}, goto="compare")


def _cited(claim: Claim, source: Source) -> Citation:
    return Citation(
        n=claim.id + 1,
        source=source.name,
        media=source.media,
        modality=claim.modality,
        text=claim.quote,
        start=claim.start,
        end=claim.end,
        page=claim.page,
        score=claim.fit,
        segment=claim.segment,
        url=source.url,
    )


async def compare(state: State, runtime: Runtime[Context]) -> State:
    """Which claims agree and which cannot both hold: by rules, then by a model where those cannot tell."""
    sources, claims = {each.n: each for each in state["sources"]}, state["claims"]
    findings, conflicts, unsure = await asyncio.to_thread(checking.weigh, claims, sources, state["plan"].topic)
    spent = ""
    by_id = {each.id: each for each in claims}
    for one, other in unsure[: JUDGED[state["options"].depth]]:
        if spent or _used(runtime.context) > SPEAK_UNTIL:
            break
        try:
            if await _judged(runtime.context, by_id[one], by_id[other]):
                conflicts.append(Conflict(one=one, other=other, reason="they conflict", judged_by="model"))
        except BudgetSpent as error:
            spent = error.message
        except SutradharError:
            break
    return {"findings": findings, "conflicts": conflicts, "spent": spent}


async def _judged(context: Context, one: Claim, other: Claim) -> bool:
    """Whether a model says of both orders that the claims conflict: small ones say it of whatever comes second."""
    for first, second in ((one, other), (other, one)):
        asked = f"1: {first.about} {first.quote}\n2: {second.about} {second.quote}"
        messages = [SystemMessage(prompt("judge")), HumanMessage(asked[:1_400])]
        said = await speak(context, "judge", messages, most_tokens=JUDGE_TOKENS)
        if not said.strip().upper().startswith("CONFLICT"):
            return False
    return True


async def trends(state: State, runtime: Runtime[Context]) -> State:
    """How figures of one thing moved over the years."""
    sources = {each.n: each for each in state["sources"]}
    return {"trends": await asyncio.to_thread(checking.developments, state["claims"], sources, state["plan"].topic)}


async def summarise(state: State, runtime: Runtime[Context]) -> State:
    """A few sentences of a model, of which only those stay that the quotations support; else quotations."""
    context, spent, missed = runtime.context, state.get("spent", ""), list[Missed]()
    if not state["findings"]:
        return {"summary": ""}
    if spent or _used(context) > SPEAK_UNTIL:
        why = spent or "The run's time was needed for the report."
        return {"summary": summary_of(state, ""), "missed": [Missed(what="A summary by a model", reason=why)]}
    try:
        said = await _summary(context, state)
    except BudgetSpent as error:
        said, spent = "", error.message
        missed = [Missed(what="A summary by a model", reason=error.message)]
    except SutradharError as error:
        said, missed = "", [Missed(what="A summary by a model", reason=error.message)]
    return {"summary": summary_of(state, said), "spent": spent, "missed": missed}


async def _summary(context: Context, state: State) -> str:
    told = "\n".join(f"[{each.n}] {each.text}" for each in statements(state))
    asked = f"Statements:\n{told}\n\nTopic: {state['plan'].topic[:300]}"
    messages = [SystemMessage(prompt("summary")), HumanMessage(asked)]
    return await speak(context, "writing", messages, most_tokens=SUMMARY_TOKENS, quotable=told)


async def report(state: State, runtime: Runtime[Context]) -> Command[Literal["close", "__end__"]]:
    """Write the report from what still stands in its source, and keep it in the formats that were asked for."""
    bench = runtime.context.bench
    claims = await _standing(bench, state)
    known: State = {**state, "claims": claims}
    if len(claims) != len(state.get("claims") or []):
        findings, conflicts, _ = checking.weigh(
            claims, {each.n: each for each in state["sources"]}, state["plan"].topic
        )
        known = {**known, "findings": findings, "conflicts": conflicts, "trends": [], "summary": ""}
    answer = await publish(bench, material_of(known), state["options"].formats)
    for citation in answer.citations:
        runtime.context.emit(Cited(citation=citation))
    return Command(update={"answer": answer}, goto="close" if state.get("spent") else "__end__")


async def _standing(bench: Bench, state: State) -> list[Claim]:
    """The claims whose quotation is in the stored text of its source: a text may have been deleted meanwhile."""
    claims, refs = state.get("claims") or [], {each.n: each.passages for each in state.get("sources") or []}
    texts = {n: await load(bench, refs[n]) for n in {each.source for each in claims}}
    return [each for each in claims if stands(each, texts[each.source])]


async def close(state: State, runtime: Runtime[Context]) -> State:
    """End as a run that spent its budget: the report is there, and says what is missing in it."""
    raise BudgetSpent(state["spent"], remedy="Raise `budget.tokens`.")


def _used(context: Context) -> float:
    """The share of the run's seconds that is used."""
    return context.ledger.seconds / context.ledger.budget.seconds
