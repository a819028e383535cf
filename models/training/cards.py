# SPDX-License-Identifier: BSD-2-Clause
"""Model cards: a JSON file beside the weights with a model's origin and quality."""

import json
import os
from pathlib import Path

SPEECH_DATA = {
    "name": "16 kHz speech, 3.6 h train / 0.38 h valid / 0.35 h test, no speaker in two parts",
    "sources": [
        {"corpus": "speechocean762 (OpenSLR SLR101)", "licence": "Apache-2.0",
         "attribution": "J. Zhang et al., Interspeech 2021"},
        {"corpus": "Picovoice speech-to-intent-benchmark", "licence": "Apache-2.0",
         "attribution": "Picovoice Inc."},
        {"corpus": "rhasspy dataset-voice-kerstin", "licence": "CC0-1.0",
         "attribution": "Rhasspy / Kerstin"},
    ],
    "test_only": [
        {"corpus": "rhasspy dataset-voice-nathalie", "licence": "CC0-1.0",
         "attribution": "Rhasspy / Nathalie"},
        {"corpus": "r-dh dutch-vl-tts", "licence": "CC0-1.0", "attribution": "r-dh"},
    ],
}
# Speech coded at 48 kb/s, which is sufficient for features.
MORE_SPEECH: list[dict[str, str]] = [
    {"corpus": "LibriSpeech (clips in Resemblyzer, DALI_extra, librosa data)", "licence": "CC-BY-4.0",
     "attribution": "(c) 2014 Vassil Panayotov; LibriVox readers"},
    {"corpus": "Picovoice wake-word-benchmark", "licence": "Apache-2.0", "attribution": "Picovoice Inc."},
    {"corpus": "MycroftAI Precise-Community-Data", "licence": "public domain",
     "attribution": "el-tocino, krisgesling, J. Nickel, adocampo"},
    {"corpus": "EmoDB, a database of German emotional speech", "licence": "CC0-1.0",
     "attribution": "F. Burkhardt et al., Interspeech 2005"},
    {"corpus": "African Storybook Project audio", "licence": "CC-BY-3.0",
     "attribution": "Darshan Soni, Alexandra Danahy, Stella Maris Namae, Elizabeth Namazzi"},
    {"corpus": "Asterisk core sounds, it and ru", "licence": "CC-BY-3.0", "attribution": "Carlo Flora, Maxim Topal"},
    {"corpus": "speechocean762, its noisy clips", "licence": "Apache-2.0",
     "attribution": "J. Zhang et al., Interspeech 2021"},
    {"corpus": "VCTK (clips in autovc, StarGANv2-VC)", "licence": "CC-BY-4.0",
     "attribution": "C. Veaux, J. Yamagishi, K. MacDonald, CSTR"},
    {"corpus": "RADAE speech", "licence": "BSD-2-Clause", "attribution": "D. Rowe and radio amateurs"},
    {"corpus": "Thorsten-Voice; LJ Speech; Common Voice clips", "licence": "CC0-1.0 or public domain",
     "attribution": "T. Müller; K. Ito; Mozilla Common Voice"},
    {"corpus": "Lyra, pyroomacoustics (CMU ARCTIC), AISHELL, SpeechRecognition samples",
     "licence": "Apache-2.0, free, Apache-2.0, BSD-3-Clause",
     "attribution": "Google; CMU; Beijing Shell Shell Technology; A. Zhang"},
]
ALL_SPEECH = SPEECH_DATA | {
    "name": "16 kHz speech, 6.6 h train / 0.6 h valid / 0.35 h test, no speaker in two parts",
    "sources": [*SPEECH_DATA["sources"], *MORE_SPEECH],
}
REQUIRED = ("id", "title", "licence", "data", "command", "seed", "steps", "losses", "quality",
            "files")


def write_card(folder: Path, card: dict) -> Path:
    """Write <id>.card.json; ValueError when a required field is missing.

    `files` maps file names to their kind ("tflite", "tables", "master", …); the manifest is built
    from it (models.training.manifest).
    """
    missing = [name for name in REQUIRED if name not in card]
    if missing:
        raise ValueError(f"model card: {', '.join(missing)} missing")
    path = folder / f"{card['id']}.card.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def rounded(values: dict[str, float], digits: int = 4) -> dict[str, float]:
    """Return the figures with few digits."""
    return {name: float(f"{value:.{digits}g}") for name, value in values.items()}
