"""What the chatbots of one worker share, and what the turns of one chatbot share."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbot_worker.metrics import ChatbotMetrics
from chatbot_worker.replies.delta_batcher import DeltaBatcher
from chatbot_worker.replies.replier import Replier
from chatbot_worker.turns.crash_suspects import CrashSuspects
from chatbot_worker.turns.fairness import Slots
from chatbot_worker.turns.publishing import Publisher
from chatbot_worker.turns.stopping import Stops
from chatbot_worker.turns.typing_indicator import TypingIndicator
from shared.bus.port import Bus


@dataclass(slots=True)
class ActiveChatbot:
    """A chatbot that answers turns in this worker. `replier` is replaced when its definition changes."""

    replier: Replier
    slots: Slots
    metrics: ChatbotMetrics
    suspects: CrashSuspects = field(default_factory=CrashSuspects)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The shared parts of a worker. `chatbots` holds the active ones by id, where a fallback is looked up."""

    bus: Bus
    partitions: int
    publisher: Publisher
    stops: Stops
    typing: TypingIndicator
    batcher: DeltaBatcher
    chatbots: dict[str, ActiveChatbot] = field(default_factory=dict)
