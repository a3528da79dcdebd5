"""The recorder: the only writer inside a run folder."""

from aipipe.recorder.folder import DURABILITIES
from aipipe.recorder.pending import PendingEntity
from aipipe.recorder.recorder import LivePipelineRecorder

__all__ = ["DURABILITIES", "LivePipelineRecorder", "PendingEntity"]
