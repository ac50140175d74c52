"""Recall: a search, then what is worth telling of what it found."""

from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Record
from stretto.memory.calls import answer
from stretto.memory.item import MemoryItem
from stretto.memory.recollection.choosing import Choice
from stretto.memory.recollection.encoding import Encoder
from stretto.memory.recollection.forms import current_time
from stretto.memory.recollection.question import Question
from stretto.memory.recollection.recollection import Recollection
from stretto.memory.recollection.searching import search


async def recall(backend: Backend, encoder: Encoder, question: Question) -> Recollection:
    """Answer a question from what is remembered.

    A question without a word that counts finds nothing.

    Raises:
        MemoryFault: the memory cannot be used.

    """
    query = question.query.encode(errors="replace").decode()  # half characters mean nothing
    if not any(character.isalnum() for character in query):
        return Recollection(question.query)
    words = encoder.words.encode_query(query)
    [dense] = await encoder.meanings([query])
    if not words[0] and dense is None:
        return Recollection(question.query)
    now = current_time()
    choice = Choice(question, now)
    found = await search(backend, question, words, dense, now)
    chosen = choice.choose(found)
    while (limit := choice.deeper(chosen, found)) is not None:
        found = await search(backend, question, words, dense, now, limit)
        chosen = choice.choose(found)
    around = choice.around(chosen)
    turns: list[Record] = []
    if around is not None:
        limit = len(chosen) * (2 * question.neighbours + 1)
        turns, _ = await answer(backend.scroll(around, limit))
    return choice.answer(chosen, [MemoryItem.from_payload(turn.payload) for turn in turns])
