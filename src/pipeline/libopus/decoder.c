/* What libopus.wasm offers: memory, and decoders of 32-bit floats. */
#include <stdlib.h>
#include <wasm_simd128.h>
#include "opus.h"

#define EXPORT(name) __attribute__((export_name(name)))

EXPORT("malloc") void *undertone_malloc(unsigned long bytes) { return malloc(bytes); }

EXPORT("free") void undertone_free(void *memory) { free(memory); }

EXPORT("createDecoder") OpusDecoder *undertone_create(int sample_rate_hz, int channels, int *error)
{
    return opus_decoder_create(sample_rate_hz, channels, error);
}

EXPORT("destroyDecoder") void undertone_destroy(OpusDecoder *decoder) { opus_decoder_destroy(decoder); }

/* Added to a count of samples of which one lies beyond 1 or is not a number. */
enum { OUT_OF_RANGE = 1 << 16 };

static int in_range(const float *samples, int count)
{
    v128_t within = wasm_i32x4_splat(-1);
    /* A packet's samples are a multiple of 40. */
    for (int i = 0; i < count; i += 4) within = wasm_v128_and(within, wasm_f32x4_le(wasm_f32x4_abs(wasm_v128_load(samples + i)), wasm_f32x4_splat(1)));
    return wasm_i32x4_all_true(within);
}

/* Without a packet (no bytes) it conceals. Samples that were written (see OUT_OF_RANGE), or an error below 0. */
EXPORT("decodeFloat")
int undertone_decode(OpusDecoder *decoder, const unsigned char *packet, int bytes, float *samples, int most_samples, int decode_fec)
{
    const int count = opus_decode_float(decoder, bytes ? packet : NULL, bytes, samples, most_samples, decode_fec);
    return count < 0 || in_range(samples, count) ? count : count | OUT_OF_RANGE;
}
