/* What libopus.wasm offers: memory, and decoders of 32-bit floats. */
#include <stdlib.h>
#include "opus.h"

#define EXPORT(name) __attribute__((export_name(name)))

EXPORT("malloc") void *undertone_malloc(unsigned long bytes) { return malloc(bytes); }

EXPORT("free") void undertone_free(void *memory) { free(memory); }

EXPORT("createDecoder") OpusDecoder *undertone_create(int sample_rate_hz, int channels, int *error)
{
    return opus_decoder_create(sample_rate_hz, channels, error);
}

EXPORT("destroyDecoder") void undertone_destroy(OpusDecoder *decoder) { opus_decoder_destroy(decoder); }

/* Without a packet (no bytes) it conceals. Samples that were written, or an error below 0. */
EXPORT("decodeFloat")
int undertone_decode(OpusDecoder *decoder, const unsigned char *packet, int bytes, float *samples, int most_samples, int decode_fec)
{
    return opus_decode_float(decoder, bytes ? packet : NULL, bytes, samples, most_samples, decode_fec);
}
