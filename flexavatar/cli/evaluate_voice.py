"""`flexavatar evaluate voice`: a voice's phones against what the mouth does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from flexavatar.cli.evaluate_options import ReportOptions
from flexavatar.errors import InputError
from flexavatar.progress import progress_bar

if TYPE_CHECKING:
    from flexavatar.evaluation.report import Item
    from flexavatar.training.speech.speakers import Utterance


@dataclass(frozen=True)
class EvaluateVoice(ReportOptions):
    """Voices that training never heard drive the mouth: do lips shut, does the jaw follow?

    Needs pip install "flexavatar[voice]" and the Debian packages flite, espeak-ng, festival,
    festvox-italp16k, festvox-czech-ph and festvox-ca-ona-hts.
    """

    recordings: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Recordings of English speech: sound files of any kind, or folders of sound files of one
    voice, each with what is said in it as .txt."""
    texts: tuple[str, ...] = ()
    """What is said in each that is no folder; "" or nothing: what a recogniser hears."""
    synthesised: bool = True
    """Let held-out synthesisers speak too."""

    def run(self) -> None:
        """Score every voice, and what is no voice."""
        if len(self.texts) > len(self.recordings):
            raise InputError(f"texts: expected one a recording, got {len(self.texts)}")
        from flexavatar.evaluation.voice import ABOUT, evaluate_non_speech, evaluate_voice
        from flexavatar.training.speech.pool import HELD_OUT_SPEAKERS, held_out_utterances
        from flexavatar.training.speech.recordings import read_recordings

        texts = (*self.texts, *[""] * len(self.recordings))
        items: list[Item] = []
        with progress_bar("listening") as report:
            for recording, text in zip(self.recordings, texts, strict=False):
                report(recording.name, 0.1)
                whole = recording.is_dir()
                said = read_recordings(recording) if whole else [_align_recording(recording, text)]
                items.append(evaluate_voice(recording.name, said))
            for i, speaker in enumerate(HELD_OUT_SPEAKERS if self.synthesised else ()):
                report(speaker.name, 0.2 + 0.6 * i / len(HELD_OUT_SPEAKERS))
                items.append(evaluate_voice(speaker.name, [*held_out_utterances(speaker)]))
            report("nobody", 0.9)
            items += evaluate_non_speech()
        self.publish("voice", ABOUT, items)


def _align_recording(recording: Path, text: str) -> Utterance:
    from flexavatar.drive.voice.features import read_sound
    from flexavatar.training.speech.recordings import align_phones

    return align_phones(read_sound(recording), text)
