"""What a token of a model costs on its way through an agent, beside LangChain's own client."""

from collections.abc import AsyncIterator

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from benchmarks.contenders import STRETTO
from benchmarks.measure import cpus, measure, walls
from benchmarks.model_server import model_server, text_of
from benchmarks.report import CLIENT, Row, Target
from benchmarks.scenarios.plan import Plan
from benchmarks.scenarios.streaming import MICROSECOND, TokenContender
from stretto.agents.agent import Task
from stretto.agents.llm import LLMAgent
from stretto.agents.models import open_model

TARGET = Target(1.5, "ratio")
KEY = "none-needed"


async def measure_model_tokens(plan: Plan) -> list[Row]:
    """Thousands of tokens of one answer, from the service's process to whoever reads them."""
    count = plan.size(2000, 50)
    tokens = [text_of(number) for number in range(count)]
    async with model_server(count) as url:
        chat = ChatOpenAI(
            model="bench", base_url=url, api_key=SecretStr(KEY), max_retries=0, stream_usage=True
        )
        writer = LLMAgent("writer", "Write.", open_model("openai:bench", api_key=KEY, base_url=url))

        async def read_client() -> AsyncIterator[str]:
            async for chunk in chat.astream("Write."):
                if chunk.text:
                    yield chunk.text

        async def read_agent() -> AsyncIterator[str]:
            seen: list[str] = []
            await writer.run(Task(publish=seen.append))
            for token in seen:
                yield token

        contenders = [
            TokenContender(CLIENT, tokens, read_client),
            TokenContender(STRETTO, tokens, read_agent),
        ]
        taken = await measure(contenders, plan.rounds, plan.warmups)
    unit, case = MICROSECOND * count, f"{count:,} tokens of a model through an LLM agent"
    return [
        Row("l", case, "µs CPU per token", cpus(taken, unit), TARGET, peer=CLIENT),
        Row("l", case, "µs per token", walls(taken, unit), peer=CLIENT),
    ]
