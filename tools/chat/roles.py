"""Chat models by role: a LangChain chat model that holds a lease on its row for each call, and only so long."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, get_args

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from tools.bench import Bench
from tools.catalog import Choice, Row
from tools.chat import Role
from tools.chat.answering import answers, is_unreachable, prepare
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.events import ModelEvent

_DEFAULTS = {"temperature": 0.0, "max_tokens": 1024}
_DYING_SECONDS = 0.2


class LeasedChat(BaseChatModel):
    """The model of one row. It is loaded when it is called, not before; `choice` says what was asked for."""

    bench: Any = Field(exclude=True, repr=False)
    choice: Choice
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def row(self) -> Row:
        return self.choice.row

    @property
    def _llm_type(self) -> str:
        return "sutradhar"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.row.id, **self.options}

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        asked = {**self.options, **kwargs, **({"stop": stop} if stop else {})}
        if self.choice.reason:
            told = f"{self.row.title} answers for {self.choice.asked!r}. {self.choice.reason}"
            self.bench.emit(ModelEvent(model=self.row.id, device=self.row.device, state="ready", note=told))
        # beside the loading of the model, which takes about as long
        preparing = asyncio.create_task(prepare(self.row))
        for last in (False, True):
            async with (
                self.bench.models.use(self.row.id, self.bench.emit) as lease,
                aclosing(answers(lease, messages, asked)) as pieces,
            ):
                await preparing
                begun = False
                try:
                    async for message in pieces:
                        begun, chunk = True, ChatGenerationChunk(message=message)
                        if run_manager is not None:
                            await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
                    return
                except EngineFailed as error:
                    if last or begun or not is_unreachable(error):
                        raise
            # a server that has just died takes a moment to be known as dead; then it is started again
            await asyncio.sleep(_DYING_SECONDS)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # streamed even so: a server notices that nobody listens any more only while it is writing
        chunks = [chunk async for chunk in self._astream(messages, stop, **kwargs)]
        return generate_from_stream(iter(chunks))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise InvalidInput(f"{self.row.title} was called synchronously.", remedy="Use `ainvoke` or `astream`.")

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools the OpenAI way. The embedded models do not answer such calls; use `structured` with them."""
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **choice, **kwargs)


def chat_model(bench: Bench, role: Role, *, model: str | None = None, **options: Any) -> LeasedChat:
    """The chat model that serves a role, or the row named by `model`.

    `options` are request fields such as `temperature` (0) and `max_tokens` (1024). Raises `NotInstalled` when the
    profile has nobody for the role or policy forbids the licence, `InvalidInput` for a word that is no role.
    """
    if role not in get_args(Role):
        raise InvalidInput(
            f"There is no chat role {role!r}.", remedy=f"Choose one of: {', '.join(get_args(Role))}.", param="role"
        )
    profile = bench.catalog.profile(bench.settings.profile)
    asked = model or bench.settings.roles.get(role) or profile.roles.get(role)
    if asked is None:
        raise NotInstalled(
            f"Profile {profile.title!r} has no model for the role {role!r}.",
            remedy=f'Set SUTRADHAR_ROLES=\'{{"{role}": "<a row of the catalogue>"}}\', or change the profile.',
        )
    choice = bench.catalog.resolve(asked)
    if choice.row.capability not in {"chat", "vision-language"}:
        raise InvalidInput(f"{choice.row.title} is no chat model but {choice.row.capability}.", param="model")
    if bench.settings.commercial and not choice.row.commercial:
        raise NotInstalled(
            f"{choice.row.title} may not be used commercially ({choice.row.licence}).",
            remedy="Name another row for this role in SUTRADHAR_ROLES.",
        )
    return LeasedChat(bench=bench, choice=choice, options=_DEFAULTS | options)
