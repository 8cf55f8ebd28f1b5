"""Front ends of published models, as data.

Each literal says where its numbers come from; tests/golden/frontend holds what the reference implementation
makes of one signal, docs/front-ends.md how closely `soundalike.frontend.log_mel` agrees.
"""

from __future__ import annotations

from dataclasses import replace

from soundalike.frontend import MelSpec

# models/preprocess.py of fschmid56/EfficientAT: AugmentMelSTFT in eval mode, with torchaudio's Kaldi bank.
EFFICIENTAT = MelSpec(
    sample_rate=32_000,
    n_fft=1024,
    win_length=800,
    hop_length=320,
    n_mels=128,
    fmin_hz=0.0,
    fmax_hz=15_000.0,
    window="hann_symmetric",
    pre_emphasis=0.97,
    mel_scale="htk",
    triangles="mel",
    drop_nyquist=True,
    log="ln",
    offset=1e-5,
    shift=4.5,
    scale=0.2,
)

# preprocessor_config.json of laion/clap-htsat-unfused and laion/larger_clap_*, truncation "rand_trunc", by
# transformers' ClapFeatureExtractor. Its class default for frequency_min is 0; the published files say 50.
LAION_CLAP = MelSpec(
    sample_rate=48_000,
    n_fft=1024,
    hop_length=480,
    n_mels=64,
    fmin_hz=50.0,
    fmax_hz=14_000.0,
    norm="slaney",
    floor=1e-10,
    precision="float64",
)

# laion/clap-htsat-fused, truncation "fusion": the same with torchaudio's default bank.
LAION_CLAP_FUSED = replace(LAION_CLAP, mel_scale="htk", norm="none")

# pytorch/models.py of qiuqiangkong/audioset_tagging_cnn: Cnn14, Cnn10, MobileNetV1 and V2; torchlibrosa.
PANNS_32K = MelSpec(
    sample_rate=32_000,
    n_fft=1024,
    hop_length=320,
    n_mels=64,
    fmin_hz=50.0,
    fmax_hz=14_000.0,
    norm="slaney",
    floor=1e-10,
)

# The same file's Cnn14_16k.
PANNS_16K = replace(PANNS_32K, sample_rate=16_000, n_fft=512, hop_length=160, fmax_hz=8_000.0)

# configs/config_2022.yml and models/audio.py of msclap 1.3.4: n_fft is the window_size there, not its n_fft.
MSCLAP_2022 = replace(PANNS_32K, sample_rate=44_100)

# models/htsat.py of msclap 1.3.4 reads models/config.py, not the YAML: a 32 kHz bank on 44.1 kHz audio.
MSCLAP_2023 = replace(MSCLAP_2022, bank_sample_rate=32_000)

# research/audioset/vggish of tensorflow/models: mel_features.py, vggish_params.py. Magnitudes, not powers.
VGGISH = MelSpec(
    sample_rate=16_000,
    n_fft=512,
    win_length=400,
    hop_length=160,
    n_mels=64,
    fmin_hz=125.0,
    fmax_hz=7_500.0,
    padding="none",
    mel_scale="htk",
    triangles="mel",
    power=1,
    log="ln",
    offset=0.01,
)

# research/audioset/yamnet of tensorflow/models: features.py with params.py.
YAMNET = replace(VGGISH, offset=0.001)

# aisfx 0.1.2: inference.py, spectrogram/spectrogram_essentia.py and spec_norm="original" of preprocessing.py.
AISFX = MelSpec(
    sample_rate=44_100,
    n_fft=2048,
    hop_length=1024,
    n_mels=96,
    fmin_hz=0.0,
    fmax_hz=22_050.0,
    window="hann_symmetric",
    padding="left_zeros",
    mel_scale="htk",
    triangles="mel",
    norm="sum",
    log="log10",
    gain=1e4,
    offset=1.0,
    scale=1 / 9.457798957824707,
)

# musicnn 0.1.0: extractor.py, configuration.py, less its step through float16, which overflows.
# Reflected ends, as in the librosa of its time; librosa 0.9 changed that default to zeros.
MUSICNN = MelSpec(
    sample_rate=16_000,
    n_fft=512,
    hop_length=256,
    n_mels=96,
    fmin_hz=0.0,
    fmax_hz=8_000.0,
    norm="slaney",
    log="log10",
    gain=1e4,
    offset=1.0,
)

# Resemblyzer 0.1.4: audio.py with hparams.py. Powers without a logarithm. Reflected ends as in MUSICNN.
RESEMBLYZER = replace(MUSICNN, n_fft=400, hop_length=160, n_mels=40, log="none", gain=1.0, offset=0.0)

FRONT_ENDS: dict[str, MelSpec] = {
    "efficientat": EFFICIENTAT,
    "laion_clap": LAION_CLAP,
    "laion_clap_fused": LAION_CLAP_FUSED,
    "msclap_2022": MSCLAP_2022,
    "msclap_2023": MSCLAP_2023,
    "panns_32k": PANNS_32K,
    "panns_16k": PANNS_16K,
    "vggish": VGGISH,
    "yamnet": YAMNET,
    "aisfx": AISFX,
    "musicnn": MUSICNN,
    "resemblyzer": RESEMBLYZER,
}
