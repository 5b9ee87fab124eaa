"""LangGraph's checkpoints, store and cache in Latchkey.

pip install latchkey[langgraph]

saver = LatchkeySaver()
graph = builder.compile(checkpointer=saver, store=LatchkeyStore(), cache=LatchkeyCache())
with saver.turn("thread-1", wait=30):
    graph.invoke(inputs, {"configurable": {"thread_id": "thread-1"}})
"""

from .cache import LatchkeyCache
from .saver import LatchkeySaver
from .store import LatchkeyStore

__all__ = ["LatchkeyCache", "LatchkeySaver", "LatchkeyStore"]
