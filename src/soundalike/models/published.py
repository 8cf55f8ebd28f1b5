"""Cards of published models: what each is, where it comes from, how it hears.

Pins are commits and hashes of files that were looked up, not fetched, when these lines were written; what is fetched
is checked against them, or against the hash that its server states. Hashes of files in wheels are those of the wheel's
own list. Each other one is stated alike by at least two public projects that have nothing to do with each other; where
only one or none says it, there is none here. Sources of the front ends: `frontends`.
"""

from __future__ import annotations

from dataclasses import replace

from soundalike.models.card import LONG_MADE_HERE, Download, ModelCard, Source, TextSpec
from soundalike.models.frontends import (
    AISFX,
    EFFICIENTAT,
    LAION_CLAP,
    LAION_CLAP_FUSED,
    MSCLAP_2022,
    MSCLAP_2023,
    MUSICNN,
    PANNS_16K,
    PANNS_32K,
    RESEMBLYZER,
    VGGISH,
    YAMNET,
)
from soundalike.models.speech import LIBRISPEECH
from soundalike.segments import SegmentSpec

_MB = 1_000_000
_ZENODO = "https://zenodo.org/records/3987831/files"
_EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"
_ROBERTA = "dc239041d98de27ffc3975473a1a23e3db4c937b23c138c38bbc66588bd247e5"  # tokenizer.json
_AUDIOSET = "AudioSet: two million clips of ten seconds, 527 labels"
_SPEECH_SEGMENTS = SegmentSpec(length_s=10.0, hop_s=5.0, shortest_s=1.0)
_TAGGING_SEGMENTS = SegmentSpec(length_s=10.0, hop_s=5.0, shortest_s=1.0)
_CLAP_SEGMENTS = SegmentSpec(length_s=10.0, hop_s=5.0, shortest_s=10.0, fixed=True)
_PATCH_SEGMENTS = SegmentSpec(length_s=0.975, hop_s=0.96, shortest_s=0.975)  # 96 frames


def _hub(
    repository: str, revision: str, path: str, n_bytes: float, sha256: str = "", name: str | None = None
) -> Download:
    """A file of the Hugging Face hub at a commit; ``n_bytes`` is about right."""
    address = f"https://huggingface.co/{repository}/resolve/{revision}/{path}"
    return Download(address=address, name=name or path.rsplit("/", 1)[-1], n_bytes=int(n_bytes), sha256=sha256)


def _exported(
    repository: str, revision: str, audio: tuple[float, str], text: tuple[float, str], tokenizer: str = ""
) -> Source:
    """Networks that the hub has as ONNX: the words' one has no mask, so lines are run one by one, as is done here."""
    files = (
        _hub(repository, revision, "onnx/audio_model.onnx", *audio, name="audio.onnx"),
        _hub(repository, revision, "onnx/text_model.onnx", *text, name="text.onnx"),
        _hub(repository, revision, "tokenizer.json", 2_108_774, tokenizer),
    )
    return Source(files=files, ready=True)


def _clap(name: str, summary: str, source: Source, n_parameters: int, trained_on: str, limits: str) -> ModelCard:
    """One of LAION's models up to ten seconds at a time."""
    return ModelCard(
        name=name, summary=summary, dim=512, licence="Apache-2.0", sample_rate=48_000, frontend=LAION_CLAP,
        layout="frames" if source.ready else "mels", segments=_CLAP_SEGMENTS, level="none",
        text=TextSpec(max_tokens=77), source=source, n_parameters=n_parameters, trained_on=trained_on, limits=limits,
    )  # fmt: skip


_NOT_SPEECH = "what is said; order in time; counting; sounds that nobody describes in words"

CLAPS = (
    _clap(
        "clap-htsat-unfused", "LAION's CLAP: sounds and words. The usual choice, also called clap.",
        _exported(
            "Xenova/clap-htsat-unfused", "c28f2883575e590e04d3146ff0713c2448d691ba",
            (117_528_416, "a1c2b43c44f71e0fa841a4b86700886c199bf87699ea45632c4d831bc6c88957"),
            (501_513_769, ""), _ROBERTA,
        ),
        153_500_000, "LAION-Audio-630K and AudioSet, with words", _NOT_SPEECH,
    ),
    ModelCard(
        name="clap-htsat-fused",
        summary="LAION's CLAP for long sounds: hears a minute at once, by four views of it.",
        dim=512,
        licence="Apache-2.0",
        sample_rate=48_000,
        frontend=LAION_CLAP_FUSED,
        long_graph=LONG_MADE_HERE,
        segments=SegmentSpec(length_s=60.0, hop_s=60.0, shortest_s=10.0, fixed=True),
        level="none",
        text=TextSpec(max_tokens=77),
        source=Source(files=(
            _hub(
                "laion/clap-htsat-fused", "365dea6ef167def6676140ed93bbc43f84dabb28", "model.safetensors", 614_431_440,
                "3f648de6d030e17494be455d323b8d191233fbae0c7ce0ba745fd21a926a63a6",
            ),
            _hub("laion/clap-htsat-fused", "365dea6ef167def6676140ed93bbc43f84dabb28", "tokenizer.json", 2.11 * _MB),
        )),
        n_parameters=153_500_000,
        trained_on="LAION-Audio-630K and AudioSet, with words",
        limits="of a long sound, what lies between its views; " + _NOT_SPEECH,
    ),
    _clap(
        "larger-clap-general", "LAION's larger CLAP, for all sounds: 2.6 times the work of clap.",
        _exported(
            "Xenova/larger_clap_general", "d78c3994912c441f0151a5cc44d86f6b7bf4c861", (282 * _MB, ""), (502 * _MB, "")
        ),
        193_900_000, "LAION-Audio-630K, AudioSet, music and speech, with words", _NOT_SPEECH,
    ),
    _clap(
        "larger-clap-music-and-speech", "LAION's larger CLAP, with more music and speech.",
        _exported(
            "Xenova/larger_clap_music_and_speech", "e9fd5ac1dbf3280936a7fc3ec8a020453ff184db",
            (281_749_092, "3ecc72d27740e2a09ced20cf22fd6244122e5e506008763a0f368b3b4ff6eac8"),
            (501_513_769, "96c0f248bfaabe5d467958245beb0243e387ed628251e3b407b856848379e89c"), _ROBERTA,
        ),
        193_900_000, "LAION-Audio-630K, music and speech, with words", _NOT_SPEECH,
    ),
    ModelCard(
        name="larger-clap-music",
        summary="LAION's larger CLAP for music. Sounds only: on the hub, its side for words is broken.",
        dim=512,
        licence="Apache-2.0",
        sample_rate=48_000,
        frontend=LAION_CLAP,
        segments=_CLAP_SEGMENTS,
        level="none",
        source=Source(files=(
            _hub(
                "laion/larger_clap_music", "a0b4534a14f58e20944452dff00a22a06ce629d1", "pytorch_model.bin", 776 * _MB,
                "5c289311f4a030d768af7ffbfdecd01b008aa64824211899a4e59f4f9d154fd1",
            ),
        )),
        n_parameters=68_610_000,
        trained_on="LAION-Audio-630K, AudioSet and music, with words",
        limits="sounds that are no music; words, which its published file does not understand",
    ),
    ModelCard(
        name="msclap-2022",
        summary="Microsoft's CLAP of 2022: CNN14 and BERT, 128,000 pairs.",
        dim=1024,
        licence="MS-PL on the hub; the code is MIT",
        sample_rate=44_100,
        frontend=MSCLAP_2022,
        segments=SegmentSpec(length_s=5.0, hop_s=2.5, shortest_s=5.0),
        level="none",
        text=TextSpec(max_tokens=100),
        source=Source(files=(
            _hub(
                "microsoft/msclap", "main", "CLAP_weights_2022.pth", 2_333_972_488,
                "5b917c47fec10547b65cf1d9096e194896fa1c2d6180536c8524289721a4c5b8",
            ),
            _hub(
                "google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594", "tokenizer.json", 466_062,
                "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98",
            ),
        )),
        n_parameters=193_000_000,
        trained_on="128,000 pairs of sounds and words",
        limits=_NOT_SPEECH,
    ),
    ModelCard(
        name="msclap-2023",
        summary="Microsoft's CLAP of 2023: HTSAT and GPT-2, 4.6 million pairs.",
        dim=1024,
        licence="MS-PL on the hub; the code is MIT",
        sample_rate=44_100,
        frontend=MSCLAP_2023,
        segments=SegmentSpec(length_s=7.0, hop_s=3.5, shortest_s=7.0),
        level="none",
        text=TextSpec(max_tokens=77, suffix=" <|endoftext|>"),
        source=Source(files=(
            _hub(
                "microsoft/msclap", "main", "CLAP_weights_2023.pth", 689_950_036,
                "2cef4016d47d00eb28d153d522f397222057f95000e9bad6b9583c631284a1e6",
            ),
            _hub(
                "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e", "tokenizer.json", 1_355_256,
                "8414cab924d8b9b33013f0d221c5862f365ee9be39c5c2bfae8a5a9e970478a6",
            ),
        )),
        n_parameters=155_000_000,
        trained_on="4.6 million pairs of sounds and words",
        limits=_NOT_SPEECH,
    ),
)  # fmt: skip

TAGGERS = (
    ModelCard(
        name="panns-cnn14",
        summary="PANNs CNN14: the usual vectors of research on sound events.",
        dim=2048,
        licence="CC BY 4.0",
        sample_rate=32_000,
        frontend=PANNS_32K,
        segments=_TAGGING_SEGMENTS,
        level="none",
        source=Source(files=(Download(
            address=f"{_ZENODO}/Cnn14_mAP%3D0.431.pth", name="Cnn14_mAP=0.431.pth", n_bytes=327_428_481,
            sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
        ),)),
        n_parameters=80_750_000,
        trained_on=_AUDIOSET,
        limits="words; music's finer kinds",
    ),
    ModelCard(
        name="panns-cnn14-16k",
        summary="PANNs CNN14 for sound at 16 kHz.",
        dim=2048,
        licence="CC BY 4.0",
        sample_rate=16_000,
        frontend=PANNS_16K,
        segments=_TAGGING_SEGMENTS,
        level="none",
        source=Source(files=(Download(
            address=f"{_ZENODO}/Cnn14_16k_mAP%3D0.438.pth", name="Cnn14_16k_mAP=0.438.pth", n_bytes=358_668_570,
            sha256="e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
        ),)),
        n_parameters=80_750_000,
        trained_on=_AUDIOSET,
        limits="words; what lies above 8 kHz",
    ),
    ModelCard(
        name="panns-mobilenet-v1",
        summary="PANNs MobileNetV1: a tenth of CNN14's work.",
        dim=1024,
        licence="CC BY 4.0",
        sample_rate=32_000,
        frontend=PANNS_32K,
        segments=_TAGGING_SEGMENTS,
        level="none",
        source=Source(files=(Download(
            address=f"{_ZENODO}/MobileNetV1_mAP%3D0.389.pth", name="MobileNetV1_mAP=0.389.pth", n_bytes=23_639_473,
            md5="a419303e1c88aa1b9d2ac3811563d371",  # Zenodo's own
        ),)),
        n_parameters=4_800_000,
        trained_on=_AUDIOSET,
        limits="words; music's finer kinds",
    ),
    ModelCard(
        name="mn04",
        summary="EfficientAT mn04: what the pocket model grew from.",
        dim=384,
        licence="MIT",
        sample_rate=32_000,
        frontend=EFFICIENTAT,
        segments=_TAGGING_SEGMENTS,
        level="none",
        source=Source(files=(Download(
            address=f"{_EFFICIENTAT}/mn04_as_mAP_432.pt", name="mn04_as_mAP_432.pt", n_bytes=4_066_513,
            sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        ),)),
        n_parameters=983_000,
        trained_on=_AUDIOSET,
        limits="words; loudness changes its vectors",
    ),
    ModelCard(
        name="mn10",
        summary="EfficientAT mn10: near CNN14 at a fortieth of its work.",
        dim=960,
        licence="MIT",
        sample_rate=32_000,
        frontend=EFFICIENTAT,
        segments=_TAGGING_SEGMENTS,
        level="none",
        source=Source(files=(Download(
            address=f"{_EFFICIENTAT}/mn10_as_mAP_471.pt", name="mn10_as_mAP_471.pt", n_bytes=19_708_753,
            sha256="0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
        ),)),
        n_parameters=4_880_000,
        trained_on=_AUDIOSET,
        limits="words; loudness changes its vectors",
    ),
    ModelCard(
        name="vggish",
        summary="VGGish: the vectors that AudioSet was published with, before their compression.",
        dim=128,
        licence="Apache-2.0",
        sample_rate=16_000,
        frontend=VGGISH,
        segments=_PATCH_SEGMENTS,
        level="none",
        source=Source(files=(Download(
            address="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
            name="vggish-10086976.pth", n_bytes=288_000_000,
            sha256="10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
        ),)),
        n_parameters=72_140_000,
        trained_on="70 million videos of YouTube-8M's kind, 3,000 labels",
        limits="words; what lies above 8 kHz; anything finer than its time",
    ),
    ModelCard(
        name="yamnet",
        summary="YAMNet: small, quick, everywhere.",
        dim=1024,
        licence="Apache-2.0",
        sample_rate=16_000,
        frontend=YAMNET,
        segments=SegmentSpec(length_s=0.975, hop_s=0.48, shortest_s=0.975),
        level="none",
        source=Source(files=(Download(
            address="https://storage.googleapis.com/audioset/yamnet.h5", name="yamnet.h5", n_bytes=15_296_092,
            sha256="13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
        ),)),
        n_parameters=3_750_000,
        trained_on="AudioSet, 521 labels",
        limits="words; what lies above 8 kHz",
    ),
    ModelCard(
        name="aisfx",
        summary="aiSFX: trained on sound effects, for sound effects.",
        dim=512,
        licence="CC BY 4.0, A. B. Ma and A. Lerch",
        sample_rate=44_100,
        frontend=AISFX,
        segments=SegmentSpec(length_s=101_376 / 44_100, hop_s=51_200 / 44_100, shortest_s=101_376 / 44_100),
        level="none",
        source=Source(files=(Download(
            address="pypi:aisfx==0.1.2", name="aisfx/models/checkpoint.pth", n_bytes=24_900_277,
            sha256="499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
        ),)),
        n_parameters=4_690_000,
        trained_on="nine libraries of sound effects and instruments",
        limits="words; speech; music as a whole",
    ),
    ModelCard(
        name="musicnn",
        summary="musicnn: what kind of music it is, by the tags of the Million Song Dataset.",
        dim=200,
        licence="ISC",
        sample_rate=16_000,
        frontend=MUSICNN,
        segments=SegmentSpec(length_s=2.976, hop_s=2.976, shortest_s=2.976),  # 187 frames
        level="none",
        source=Source(files=(
            Download(
                address="pypi:musicnn==0.1.0", name="musicnn/MSD_musicnn/.index", n_bytes=4_948,
                sha256="87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
            ),
            Download(
                address="pypi:musicnn==0.1.0", name="musicnn/MSD_musicnn/.data-00000-of-00001", n_bytes=9_465_596,
                sha256="8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
            ),
        )),
        n_parameters=790_000,
        trained_on="Million Song Dataset, 50 tags",
        limits="words; sounds that are no music",
    ),
)  # fmt: skip

SPEECH = (
    ModelCard(
        name="wav2vec2-base",
        summary="wav2vec 2.0: speech without its words, the mean of the last layer.",
        dim=768,
        licence="Apache-2.0",
        sample_rate=16_000,
        frontend=None,
        segments=_SPEECH_SEGMENTS,
        level="none",
        source=Source(files=(
            _hub(
                "facebook/wav2vec2-base", "0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8", "pytorch_model.bin", 380_267_417,
                "3249fe98bfc62fcbc26067f724716a6ec49d12c4728a2af1df659013905dff21",
            ),
        )),
        n_parameters=94_370_000,
        trained_on="LibriSpeech: 960 hours of read English, unlabelled",
        limits="sounds that are no speech",
    ),
    ModelCard(
        name="wav2vec2-base-960h",
        summary="English speech to words: soundalike transcribe. Its vectors: the mean of the last layer.",
        dim=768,
        licence="Apache-2.0",
        sample_rate=16_000,
        frontend=None,
        segments=_SPEECH_SEGMENTS,
        level="none",
        ctc=LIBRISPEECH,
        source=Source(files=(
            _hub(
                "facebook/wav2vec2-base-960h", "22aad52d435eb6dbaf354bdad9b0da84ce7d6156", "model.safetensors",
                377_607_901, "8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a",
            ),
        )),
        n_parameters=94_396_320,
        trained_on="LibriSpeech: 960 hours of read English",
        limits="any language but English, music behind the voice, several voices at once, telephone sound",
    ),
    ModelCard(
        name="hubert-base",
        summary="HuBERT: speech without its words, the mean of the last layer.",
        dim=768,
        licence="Apache-2.0",
        sample_rate=16_000,
        frontend=None,
        segments=_SPEECH_SEGMENTS,
        level="none",
        source=Source(files=(
            _hub(
                "facebook/hubert-base-ls960", "dba3bb02fda4248b6e082697eee756de8fe8aa8a", "pytorch_model.bin",
                377_569_754, "062249fffb353eab67547a2fbc129f7c31a2f459faf641b19e8fb007cc5c48ad",
            ),
        )),
        n_parameters=94_370_000,
        trained_on="LibriSpeech: 960 hours of read English, unlabelled",
        limits="sounds that are no speech",
    ),
    ModelCard(
        name="wavlm-base-plus-sv",
        summary="Who speaks: soundalike speakers.",
        dim=512,
        licence="CC BY-SA 3.0, to which its page links",
        sample_rate=16_000,
        frontend=None,
        segments=_SPEECH_SEGMENTS,
        level="none",
        same_speaker=0.86,  # its page on the hub
        source=Source(files=(
            _hub(
                "microsoft/wavlm-base-plus-sv", "feb593a6c23c1cc3d9510425c29b0a14d2b07b1e", "pytorch_model.bin",
                405 * _MB,
            ),
        )),
        n_parameters=100_229_465,
        trained_on="94,000 hours of unlabelled English; VoxCeleb1 for speakers",
        limits="what is said; sounds without a voice; several voices at once",
    ),
    ModelCard(
        name="resemblyzer",
        summary="Who speaks, small and quick: soundalike speakers --model resemblyzer.",
        dim=256,
        licence="Apache-2.0",
        sample_rate=16_000,
        frontend=replace(RESEMBLYZER, padding="none"),  # frames of the whole, cut afterwards: half of one before, …
        segments=SegmentSpec(length_s=1.6, hop_s=0.77, shortest_s=1.6, around_s=(0.0125, 0.0025)),  # … 160 every 77
        level="raised",
        same_speaker=0.75,  # "confident" in demo_utils.py of resemble-ai/Resemblyzer
        source=Source(files=(
            Download(
                address="pypi:Resemblyzer==0.1.4", name="resemblyzer/pretrained.pt", n_bytes=17_090_379,
                sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
            ),
        )),
        n_parameters=1_423_616,
        trained_on="LibriSpeech-other, VoxCeleb1 and VoxCeleb2",
        limits="what is said; sounds without a voice; several voices at once; long pauses",
    ),
)  # fmt: skip
