"""Makes the golden log-mel and MFCC from speech with SciPy, independently of the project's own code.

    ffmpeg -i ../../../assets/demo/1015_IEO_ANG_HI.opus -ss 0.6 -t 1 -ar 16000 -ac 1 -c:a pcm_s16le -bitexact speech.wav
    /usr/bin/python3 make.py

Writes golden.f32: little-endian float32, [frames][104], log-mel then MFCC. Needs Debian's python3-scipy.
"""

from pathlib import Path

import numpy as np
from scipy.fft import dct, rfft
from scipy.io import wavfile
from scipy.signal import get_window

HERE = Path(__file__).parent
RATE, FRAME, HOP, FFT, BANDS, CEPSTRA = 16000, 400, 160, 512, 64, 40
LOW_HZ, HIGH_HZ, FLOOR = 40.0, 7800.0, 1e-7


def hz_to_mel(hz):
    """Slaney's scale, vectorised."""
    hz = np.asarray(hz, dtype=np.float64)
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1) / 1000) / np.log(6.4))


def mel_to_hz(mel):
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


edges = mel_to_hz(np.linspace(hz_to_mel(LOW_HZ), hz_to_mel(HIGH_HZ), BANDS + 2))
bins = np.arange(FFT // 2 + 1) * RATE / FFT
bank = np.stack([np.interp(bins, edges[b : b + 3], [0.0, 1.0, 0.0], left=0, right=0) for b in range(BANDS)])

rate, pcm = wavfile.read(HERE / "speech.wav")
assert rate == RATE and pcm.dtype == np.int16
audio = pcm.astype(np.float64) / 32768
frames = np.lib.stride_tricks.sliding_window_view(audio, FRAME)[::HOP]
power = np.abs(rfft(frames * get_window("hann", FRAME, fftbins=True), FFT)) ** 2
log_mel = np.log(np.maximum(power @ bank.T, FLOOR))
mfcc = dct(log_mel, type=2, norm="ortho", axis=1)[:, :CEPSTRA]
np.concatenate([log_mel, mfcc], axis=1).astype("<f4").tofile(HERE / "golden.f32")
print(len(frames), "frames", log_mel.min(), log_mel.max())
