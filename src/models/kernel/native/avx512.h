/* Products and gates in vectors of 512 bits (AVX-512 with VNNI, whose one instruction multiplies pairs and adds them up). */
#ifndef UNDERTONE_AVX512_H
#define UNDERTONE_AVX512_H

#include <string.h>

#include <immintrin.h>

#include "avx2.h"
#include "vectors.h"

enum { WIDE = 16 };

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vnni")

/* Rows `[n][inputs]` by `blocks` times 16 outputs. Sums are whole numbers: no order of them makes a difference. */
static inline __attribute__((always_inline)) void wide_tile(const int n, const int blocks, const int16_t *x, const __m256i *weights,
                                                            int32_t *sums, int inputs, int outputs) {
  const int pairs = inputs / 2;
  __m512i kept[2][8];
  for (int block = 0; block < blocks; block += 1) {
    for (int row = 0; row < n; row += 1) kept[block][row] = _mm512_setzero_si512();
  }
  for (int pair = 0; pair < pairs; pair += 1) {
    __m512i by[2];
    for (int block = 0; block < blocks; block += 1) {
      /* Weights lie in blocks of eight outputs. */
      const __m256i *half = weights + (size_t)2 * block * pairs + pair;
      by[block] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(half)), _mm256_loadu_si256(half + pairs), 1);
    }
    for (int row = 0; row < n; row += 1) {
      int32_t both;
      memcpy(&both, x + row * inputs + 2 * pair, sizeof both);
      const __m512i own = _mm512_set1_epi32(both);
      for (int block = 0; block < blocks; block += 1) kept[block][row] = _mm512_dpwssd_epi32(kept[block][row], own, by[block]);
    }
  }
  for (int row = 0; row < n; row += 1) {
    for (int block = 0; block < blocks; block += 1) _mm512_storeu_si512(sums + row * outputs + WIDE * block, kept[block][row]);
  }
}

static inline __attribute__((always_inline)) void wide_rows(const int blocks, const int16_t *x, const __m256i *weights, int32_t *sums,
                                                            int rows, int inputs, int outputs) {
  while (rows > 0) {
    /* Sixteen sums and two weights fit into registers. Tiles are as even as can be: a small one waits for its own sums. */
    const int tiles = (rows + 7) / 8;
    const int n = (rows + tiles - 1) / tiles;
    switch (n) {
      case 8: wide_tile(8, blocks, x, weights, sums, inputs, outputs); break;
      case 7: wide_tile(7, blocks, x, weights, sums, inputs, outputs); break;
      case 6: wide_tile(6, blocks, x, weights, sums, inputs, outputs); break;
      case 5: wide_tile(5, blocks, x, weights, sums, inputs, outputs); break;
      case 4: wide_tile(4, blocks, x, weights, sums, inputs, outputs); break;
      case 3: wide_tile(3, blocks, x, weights, sums, inputs, outputs); break;
      case 2: wide_tile(2, blocks, x, weights, sums, inputs, outputs); break;
      default: wide_tile(1, blocks, x, weights, sums, inputs, outputs);
    }
    x += n * inputs;
    sums += n * outputs;
    rows -= n;
  }
}

static void multiply_by_sixteen(const int16_t *x, const int16_t *weights, int32_t *sums, int rows, int inputs, int outputs) {
  int output = 0;
  for (; output + 2 * WIDE <= outputs; output += 2 * WIDE) {
    wide_rows(2, x, (const __m256i *)(weights + (size_t)output * inputs), sums + output, rows, inputs, outputs);
  }
  if (output < outputs) wide_rows(1, x, (const __m256i *)(weights + (size_t)output * inputs), sums + output, rows, inputs, outputs);
}

/* Rows `[n][inputs]` by two blocks of 8 outputs. */
static inline __attribute__((always_inline)) void wide_float_tile(const int n, const float *x, const float *weights, __m512 bias, float *to,
                                                                  int inputs, int outputs, bool cut) {
  __m512 kept[8];
  for (int row = 0; row < n; row += 1) kept[row] = bias;
  const float *second = weights + (size_t)LANES * inputs;
  for (int input = 0; input < inputs; input += 1) {
    const __m256d low = _mm256_castps_pd(_mm256_loadu_ps(weights + LANES * input));
    const __m256d high = _mm256_castps_pd(_mm256_loadu_ps(second + LANES * input));
    const __m512 by = _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1));
    for (int row = 0; row < n; row += 1) {
      kept[row] = _mm512_add_ps(kept[row], _mm512_mul_ps(_mm512_set1_ps(x[row * inputs + input]), by));
    }
  }
  const __m512 zero = _mm512_setzero_ps();
  for (int row = 0; row < n; row += 1) {
    /* What is no number stays so, and a negative zero does not, as in WebAssembly. */
    const __m512 value = cut ? _mm512_add_ps(_mm512_max_ps(zero, kept[row]), zero) : kept[row];
    _mm512_storeu_ps(to + row * outputs, value);
  }
}

static void multiply_floats_by_sixteen(const float *x, const float *weights, const float *bias, float *to, int rows, int inputs,
                                       int outputs, bool cut) {
  int output = 0;
  for (; output + WIDE <= outputs; output += WIDE) {
    const float *by = weights + (size_t)output * inputs;
    const __m512 from = _mm512_loadu_ps(bias + output);
    int row = 0;
    for (; row + 8 <= rows; row += 8) wide_float_tile(8, x + row * inputs, by, from, to + row * outputs + output, inputs, outputs, cut);
    for (; row + 4 <= rows; row += 4) wide_float_tile(4, x + row * inputs, by, from, to + row * outputs + output, inputs, outputs, cut);
    for (; row < rows; row += 1) wide_float_tile(1, x + row * inputs, by, from, to + row * outputs + output, inputs, outputs, cut);
  }
  if (output == outputs) return;
  /* Eight are left, and the rows of what is written are as long as before. */
  for (int row = 0; row < rows; row += 1) {
    float_tile(1, x + row * inputs, weights + (size_t)output * inputs, _mm256_loadu_ps(bias + output), to + row * outputs + output, inputs,
               outputs, cut);
  }
}

static inline __m512 wide_times(__m512 a, __m512 b) { return _mm512_mul_ps(a, b); }

static inline __m512 wide_plus(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }

/* The fraction of `../assembly/math.ts`. */
static inline __m512 wide_limited(__m512 x) {
  return _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-7)), _mm512_set1_ps(7));
}

static inline __m512 wide_tanh_above(__m512 x) {
  const __m512 square = wide_times(x, x);
  __m512 value = wide_plus(wide_times(square, _mm512_set1_ps(3.92999932e-6f)), _mm512_set1_ps(2.27699672e-3f));
  value = wide_plus(wide_times(square, value), _mm512_set1_ps(0.123022007f));
  return wide_times(wide_plus(wide_times(square, value), _mm512_set1_ps(0.999995702f)), x);
}

static inline __m512 wide_tanh_below(__m512 x) {
  const __m512 square = wide_times(x, x);
  __m512 value = wide_plus(wide_times(square, _mm512_set1_ps(1.42351127e-4f)), _mm512_set1_ps(2.10722372e-2f));
  value = wide_plus(wide_times(square, value), _mm512_set1_ps(0.456340524f));
  return wide_plus(wide_times(square, value), _mm512_set1_ps(1));
}

/* What drives a gate: its sum, the product of the input, the bias. */
static inline __m512 wide_drive(const int32_t *sums, const int16_t *products, const float *steps, const float *bias, float product_step) {
  const __m512 own = wide_times(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums)), _mm512_loadu_ps(steps));
  const __m512 given = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)products)));
  return wide_plus(wide_plus(own, wide_times(given, _mm512_set1_ps(product_step))), _mm512_loadu_ps(bias));
}

static void advance_by_sixteen(const int32_t *sums, const int16_t *products, const float *steps, const float *bias, float *cell,
                               int16_t *state, float *to, int16_t *wholes) {
  const float whole_step = 1.0f / 1024, half_step = 1.0f / 2048;
  const __m512 half = _mm512_set1_ps(0.5f);
  for (int at = 0; at < UNITS; at += WIDE) {
    const int out = at + UNITS, keep = at + 2 * UNITS, make = at + 3 * UNITS;
    const __m512 input = wide_limited(wide_drive(sums + at, products + at, steps + at, bias + at, half_step));
    const __m512 forget = wide_limited(wide_drive(sums + keep, products + keep, steps + keep, bias + keep, half_step));
    const __m512 fresh = wide_limited(wide_drive(sums + make, products + make, steps + make, bias + make, whole_step));
    const __m512 input_below = wide_tanh_below(input);
    const __m512 forget_below = wide_tanh_below(forget);
    const __m512 taken = wide_times(input_below, wide_tanh_below(fresh));
    const __m512 kept = wide_times(wide_plus(forget_below, wide_tanh_above(forget)), _mm512_loadu_ps(cell + at));
    const __m512 added = wide_times(wide_plus(input_below, wide_tanh_above(input)), wide_tanh_above(fresh));
    const __m512 above = wide_plus(wide_times(kept, taken), wide_times(added, forget_below));
    const __m512 now = wide_times(half, _mm512_div_ps(above, wide_times(taken, forget_below)));
    _mm512_storeu_ps(cell + at, now);
    const __m512 output = wide_limited(wide_drive(sums + out, products + out, steps + out, bias + out, half_step));
    const __m512 output_below = wide_tanh_below(output);
    const __m512 shown = wide_limited(now);
    const __m512 all = wide_times(wide_plus(output_below, wide_tanh_above(output)), wide_tanh_above(shown));
    const __m512 said = wide_times(half, _mm512_div_ps(all, wide_times(output_below, wide_tanh_below(shown))));
    _mm512_storeu_ps(to + at, said);
    const __m512 rounding = wide_plus(wide_times(said, _mm512_set1_ps(4095)), _mm512_set1_ps(12582912));
    const __m512i whole = _mm512_sub_epi32(_mm512_castps_si512(rounding), _mm512_set1_epi32(0x4b400000));
    const __m256i sixteen = _mm512_cvtsepi32_epi16(whole);
    _mm256_storeu_si256((__m256i *)(state + at), sixteen);
    _mm256_storeu_si256((__m256i *)(wholes + at), sixteen);
  }
}
#pragma GCC pop_options

#endif
