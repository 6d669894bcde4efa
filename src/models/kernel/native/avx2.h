/* Products and gates in vectors of 256 bits (AVX2). */
#ifndef UNDERTONE_AVX2_H
#define UNDERTONE_AVX2_H

#include <string.h>

#include <immintrin.h>

#include "vectors.h"

enum { LANES = 8 };

#pragma GCC push_options
#pragma GCC target("avx2")

/* Rows `[n][inputs]` by two blocks of 8 outputs. Sums are whole numbers: no order of them makes a difference. */
static inline __attribute__((always_inline)) void tile(const int n, const int16_t *x, const __m256i *first, const __m256i *second,
                                                       int32_t *sums, int inputs, int outputs) {
  __m256i a[6], b[6];
  for (int row = 0; row < n; row += 1) a[row] = b[row] = _mm256_setzero_si256();
  for (int pair = 0; pair < inputs / 2; pair += 1) {
    const __m256i v = _mm256_loadu_si256(first + pair);
    const __m256i w = _mm256_loadu_si256(second + pair);
    for (int row = 0; row < n; row += 1) {
      int32_t both;
      memcpy(&both, x + row * inputs + 2 * pair, sizeof both);
      const __m256i own = _mm256_set1_epi32(both);
      a[row] = _mm256_add_epi32(a[row], _mm256_madd_epi16(own, v));
      b[row] = _mm256_add_epi32(b[row], _mm256_madd_epi16(own, w));
    }
  }
  for (int row = 0; row < n; row += 1) {
    _mm256_storeu_si256((__m256i *)(sums + row * outputs), a[row]);
    _mm256_storeu_si256((__m256i *)(sums + row * outputs + LANES), b[row]);
  }
}

static void multiply_by_eight(const int16_t *x, const int16_t *weights, int32_t *sums, int rows, int inputs, int outputs) {
  for (int output = 0; output < outputs; output += 2 * LANES) {
    const __m256i *first = (const __m256i *)(weights + (size_t)output * inputs);
    const __m256i *second = first + inputs / 2;
    const int16_t *from = x;
    int32_t *to = sums + output;
    for (int left = rows; left > 0;) {
      /* Twelve sums fit into registers, with two weights and an input; one row alone wastes half of its time. */
      const int n = left == 7 || left == 8 ? 4 : left > 6 ? 6 : left;
      switch (n) {
        case 6: tile(6, from, first, second, to, inputs, outputs); break;
        case 5: tile(5, from, first, second, to, inputs, outputs); break;
        case 4: tile(4, from, first, second, to, inputs, outputs); break;
        case 3: tile(3, from, first, second, to, inputs, outputs); break;
        case 2: tile(2, from, first, second, to, inputs, outputs); break;
        default: tile(1, from, first, second, to, inputs, outputs);
      }
      from += n * inputs;
      to += n * outputs;
      left -= n;
    }
  }
}

/* Rows `[n][inputs]` by a block of 8 outputs. */
static inline __attribute__((always_inline)) void float_tile(const int n, const float *x, const float *weights, __m256 bias, float *to,
                                                             int inputs, int outputs, bool cut) {
  __m256 kept[8];
  for (int row = 0; row < n; row += 1) kept[row] = bias;
  for (int input = 0; input < inputs; input += 1) {
    const __m256 by = _mm256_loadu_ps(weights + LANES * input);
    for (int row = 0; row < n; row += 1) {
      kept[row] = _mm256_add_ps(kept[row], _mm256_mul_ps(_mm256_set1_ps(x[row * inputs + input]), by));
    }
  }
  const __m256 zero = _mm256_setzero_ps();
  for (int row = 0; row < n; row += 1) {
    /* What is no number stays so, and a negative zero does not, as in WebAssembly. */
    const __m256 value = cut ? _mm256_add_ps(_mm256_max_ps(zero, kept[row]), zero) : kept[row];
    _mm256_storeu_ps(to + row * outputs, value);
  }
}

static void multiply_floats_by_eight(const float *x, const float *weights, const float *bias, float *to, int rows, int inputs,
                                     int outputs, bool cut) {
  for (int output = 0; output < outputs; output += LANES) {
    const float *by = weights + (size_t)output * inputs;
    const __m256 from = _mm256_loadu_ps(bias + output);
    int row = 0;
    for (; row + 8 <= rows; row += 8) float_tile(8, x + row * inputs, by, from, to + row * outputs + output, inputs, outputs, cut);
    for (; row + 4 <= rows; row += 4) float_tile(4, x + row * inputs, by, from, to + row * outputs + output, inputs, outputs, cut);
    for (; row < rows; row += 1) float_tile(1, x + row * inputs, by, from, to + row * outputs + output, inputs, outputs, cut);
  }
}

static inline __m256 times(__m256 a, __m256 b) { return _mm256_mul_ps(a, b); }

static inline __m256 plus(__m256 a, __m256 b) { return _mm256_add_ps(a, b); }

/* The fraction of `../assembly/math.ts`. */
static inline __m256 limited(__m256 x) {
  return _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-7)), _mm256_set1_ps(7));
}

static inline __m256 tanh_above(__m256 x) {
  const __m256 square = times(x, x);
  __m256 value = plus(times(square, _mm256_set1_ps(3.92999932e-6f)), _mm256_set1_ps(2.27699672e-3f));
  value = plus(times(square, value), _mm256_set1_ps(0.123022007f));
  return times(plus(times(square, value), _mm256_set1_ps(0.999995702f)), x);
}

static inline __m256 tanh_below(__m256 x) {
  const __m256 square = times(x, x);
  __m256 value = plus(times(square, _mm256_set1_ps(1.42351127e-4f)), _mm256_set1_ps(2.10722372e-2f));
  value = plus(times(square, value), _mm256_set1_ps(0.456340524f));
  return plus(times(square, value), _mm256_set1_ps(1));
}

/* What drives a gate: its sum, the product of the input, the bias. */
static inline __m256 drive(const int32_t *sums, const int16_t *products, const float *steps, const float *bias, float product_step) {
  const __m256 own = times(_mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)sums)), _mm256_loadu_ps(steps));
  const __m256 given = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)products)));
  return plus(plus(own, times(given, _mm256_set1_ps(product_step))), _mm256_loadu_ps(bias));
}

/* One step of one window: gates input, output, forget, cell. */
static void advance_by_eight(const int32_t *sums, const int16_t *products, const float *steps, const float *bias, float *cell, int16_t *state,
                    float *to, int16_t *wholes) {
  const float whole_step = 1.0f / 1024, half_step = 1.0f / 2048;
  const __m256 half = _mm256_set1_ps(0.5f);
  for (int at = 0; at < UNITS; at += LANES) {
    const int out = at + UNITS, keep = at + 2 * UNITS, make = at + 3 * UNITS;
    const __m256 input = limited(drive(sums + at, products + at, steps + at, bias + at, half_step));
    const __m256 forget = limited(drive(sums + keep, products + keep, steps + keep, bias + keep, half_step));
    const __m256 fresh = limited(drive(sums + make, products + make, steps + make, bias + make, whole_step));
    const __m256 input_below = tanh_below(input);
    const __m256 forget_below = tanh_below(forget);
    const __m256 taken = times(input_below, tanh_below(fresh));
    const __m256 kept = times(plus(forget_below, tanh_above(forget)), _mm256_loadu_ps(cell + at));
    const __m256 added = times(plus(input_below, tanh_above(input)), tanh_above(fresh));
    const __m256 above = plus(times(kept, taken), times(added, forget_below));
    const __m256 now = times(half, _mm256_div_ps(above, times(taken, forget_below)));
    _mm256_storeu_ps(cell + at, now);
    const __m256 output = limited(drive(sums + out, products + out, steps + out, bias + out, half_step));
    const __m256 output_below = tanh_below(output);
    const __m256 shown = limited(now);
    const __m256 all = times(plus(output_below, tanh_above(output)), tanh_above(shown));
    const __m256 said = times(half, _mm256_div_ps(all, times(output_below, tanh_below(shown))));
    _mm256_storeu_ps(to + at, said);
    const __m256 rounding = plus(times(said, _mm256_set1_ps(4095)), _mm256_set1_ps(12582912));
    const __m256i whole = _mm256_sub_epi32(_mm256_castps_si256(rounding), _mm256_set1_epi32(0x4b400000));
    const __m128i eight = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storeu_si128((__m128i *)(state + at), eight);
    _mm_storeu_si128((__m128i *)(wholes + at), eight);
  }
}
#pragma GCC pop_options

#endif
