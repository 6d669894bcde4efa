/* The limit that native code sets: one caller's Opus packets to log-mel and MFCC with libopus and FFTW, single precision. */
#include <fftw3.h>
#include <math.h>
#include <opus/opus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { frame_samples = 400, hop_samples = 160, fft_size = 512, bins = 256, bands = 64, cepstra = 40, packet_samples = 320 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* argv: a file of packets, each after its length (32 bits, little endian); a file of bands x bins weights; rounds. */
int main(int argc, char **argv) {
  if (argc != 4) return 2;
  FILE *file = fopen(argv[1], "rb");
  if (!file) return 2;
  uint8_t *packets = malloc(64 << 20);
  size_t size = fread(packets, 1, 64 << 20, file);
  fclose(file);
  static float weights[bands][bins], dct[cepstra][bands], window[frame_samples];
  static int first[bands], last[bands];
  file = fopen(argv[2], "rb");
  if (!file || fread(weights, sizeof weights, 1, file) != 1) return 2;
  fclose(file);
  for (int b = 0; b < bands; b++) {
    first[b] = bins;
    for (int i = 0; i < bins; i++)
      if (weights[b][i] != 0) {
        if (first[b] == bins) first[b] = i;
        last[b] = i + 1;
      }
  }
  for (int k = 0; k < cepstra; k++)
    for (int n = 0; n < bands; n++) dct[k][n] = sqrtf((k ? 2.f : 1.f) / bands) * cosf((float)M_PI * k * (n + .5f) / bands);
  for (int i = 0; i < frame_samples; i++) window[i] = .5f - .5f * cosf(2 * (float)M_PI * i / frame_samples);
  float *input = fftwf_alloc_real(fft_size);
  fftwf_complex *spectrum = fftwf_alloc_complex(fft_size / 2 + 1);
  fftwf_plan plan = fftwf_plan_dft_r2c_1d(fft_size, input, spectrum, FFTW_MEASURE);
  memset(input, 0, sizeof(float) * fft_size);

  double best = 1e9, best_decode = 1e9, sink = 0;
  int count = 0;
  for (int round = 0; round < atoi(argv[3]); round++) {
    int error;
    OpusDecoder *decoder = opus_decoder_create(16000, 1, &error);
    if (error) return 3;
    static float pending[frame_samples + 1920];
    float log_mel[bands], mfcc[cepstra];
    int filled = 0;
    double decode = 0, start = seconds();
    count = 0;
    for (size_t at = 0; at + 4 <= size; count++) {
      uint32_t length = packets[at] | packets[at + 1] << 8 | packets[at + 2] << 16 | (uint32_t)packets[at + 3] << 24;
      double before = seconds();
      int got = opus_decode_float(decoder, packets + at + 4, length, pending + filled, 1920, 0);
      decode += seconds() - before;
      at += 4 + length;
      if (got < 0) return 4;
      filled += got;
      int from = 0;
      for (; from + frame_samples <= filled; from += hop_samples) {
        for (int i = 0; i < frame_samples; i++) input[i] = pending[from + i] * window[i];
        fftwf_execute(plan);
        float power[bins];
        for (int i = 0; i < bins; i++) power[i] = spectrum[i][0] * spectrum[i][0] + spectrum[i][1] * spectrum[i][1];
        for (int b = 0; b < bands; b++) {
          float sum = 0;
          for (int i = first[b]; i < last[b]; i++) sum += weights[b][i] * power[i];
          log_mel[b] = logf(fmaxf(sum, 1e-7f));
        }
        for (int k = 0; k < cepstra; k++) {
          float sum = 0;
          for (int n = 0; n < bands; n++) sum += dct[k][n] * log_mel[n];
          mfcc[k] = sum;
        }
        sink += mfcc[0] + log_mel[7];
      }
      filled -= from;
      memmove(pending, pending + from, sizeof(float) * filled);
    }
    double whole = seconds() - start;
    if (whole < best) best = whole;
    if (decode < best_decode) best_decode = decode;
    opus_decoder_destroy(decoder);
  }
  printf("{\"packets\":%d,\"wholeUs\":%.4f,\"decodeUs\":%.4f,\"sink\":%.3f}\n", count, 1e6 * best / count, 1e6 * best_decode / count, sink);
  return 0;
}
