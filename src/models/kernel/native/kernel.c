/*
 * The products and the LSTM of the network's kernel, in vectors of 256 bits where WebAssembly has 128: functions of the same names and
 * arguments as in `../assembly`, on the memory of its instance, which make the same numbers to the bit.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <immintrin.h>
#include <node_api.h>

/* The memory that positions are of. */
typedef struct {
  uint8_t *base;
  size_t bytes;
  napi_ref buffer;
  /* Functions that are not collected yet. */
  int users;
} Memory;

enum { UNITS = 96, GATES = 4 * UNITS, LANES = 8 };

/* Nothing that is counted is more: so no number of bytes leaves 64 bits. */
enum { MOST = 1 << 16 };

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

static void multiply(const int16_t *x, const int16_t *weights, int32_t *sums, int rows, int inputs, int outputs) {
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
static void advance(const int32_t *sums, const int16_t *products, const float *steps, const float *bias, float *cell, int16_t *state,
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

static int first_of(int row, const int32_t *order, const int32_t *firsts) { return firsts[order[row]]; }

static void lstm(const uint8_t *products, int windows, int count, int step_bytes, const int32_t *order, const int32_t *firsts,
                 const uint8_t *weights, const uint8_t *silences, uint8_t *scratch, float *to, int16_t *wholes) {
  int32_t *sums = (int32_t *)scratch;
  float *cells = (float *)(sums + (size_t)GATES * windows);
  int16_t *states = (int16_t *)(cells + (size_t)UNITS * windows);
  for (int way = 0; way < 2; way += 1) {
    const float *steps = (const float *)(weights + 2 * GATES * UNITS);
    const float *bias = steps + GATES;
    /* Forward they join as their first step comes; backward all are there, and leave behind it. */
    int running = way ? windows : 0;
    if (way) memset(cells, 0, (size_t)6 * UNITS * windows);
    for (int i = 0; i < count; i += 1) {
      const int step = way ? count - 1 - i : i;
      while (!way && running < windows && first_of(running, order, firsts) <= step) {
        const uint8_t *silence = silences + 6 * UNITS * first_of(running, order, firsts);
        memcpy(cells + UNITS * running, silence, 4 * UNITS);
        memcpy(states + UNITS * running, silence + 4 * UNITS, 2 * UNITS);
        running += 1;
      }
      while (running > 0 && first_of(running - 1, order, firsts) > step) running -= 1;
      if (running == 0) continue;
      multiply(states, (const int16_t *)weights, sums, running, UNITS, GATES);
      for (int row = 0; row < running; row += 1) {
        const size_t place = (size_t)order[row] * count + step;
        advance(sums + GATES * row, (const int16_t *)(products + place * step_bytes) + way * GATES, steps, bias, cells + UNITS * row,
                states + UNITS * row, to + (2 * place + way) * UNITS, wholes + (2 * place + way) * UNITS);
      }
    }
    weights = (const uint8_t *)(bias + GATES);
  }
}
#pragma GCC pop_options

/* Where `bytes` from a position on lie; NULL, and an exception, where the memory does not hold them. */
static void *place(napi_env env, const Memory *memory, int32_t at, int64_t bytes) {
  if (at >= 0 && bytes >= 0 && at + bytes <= (int64_t)memory->bytes) return memory->base + at;
  char message[120];
  snprintf(message, sizeof message, "Expected %lld bytes at %d to lie in a memory of %zu", (long long)bytes, at, memory->bytes);
  napi_throw_range_error(env, NULL, message);
  return NULL;
}

/* The numbers that a function was called with, and its memory; NULL, and an exception, where they are others. */
static Memory *called(napi_env env, napi_callback_info info, int32_t *numbers, size_t count) {
  napi_value given[16];
  size_t got = 16;
  void *memory;
  if (napi_get_cb_info(env, info, &got, given, NULL, &memory) != napi_ok) return NULL;
  bool fits = got == count;
  for (size_t i = 0; fits && i < count; i += 1) fits = napi_get_value_int32(env, given[i], &numbers[i]) == napi_ok;
  if (fits) return memory;
  char message[60];
  snprintf(message, sizeof message, "Expected %zu numbers, got %zu arguments", count, got);
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

static napi_value call_multiply(napi_env env, napi_callback_info info) {
  int32_t n[6];
  const Memory *memory = called(env, info, n, 6);
  if (memory == NULL) return NULL;
  const int64_t rows = n[3], inputs = n[4], outputs = n[5];
  const bool sizes = rows >= 0 && rows <= MOST && inputs >= 0 && inputs <= MOST && outputs >= 0 && outputs <= MOST;
  if (!sizes || inputs % 2 != 0 || outputs % (2 * LANES) != 0) {
    napi_throw_range_error(env, NULL, "Expected rows, an even number of inputs and a multiple of 16 outputs");
    return NULL;
  }
  const int16_t *x = place(env, memory, n[0], 2 * rows * inputs);
  const int16_t *weights = x == NULL ? NULL : place(env, memory, n[1], 2 * inputs * outputs);
  int32_t *sums = weights == NULL ? NULL : place(env, memory, n[2], 4 * rows * outputs);
  if (sums != NULL) multiply(x, weights, sums, n[3], n[4], n[5]);
  return NULL;
}

static napi_value call_lstm(napi_env env, napi_callback_info info) {
  int32_t n[11];
  const Memory *memory = called(env, info, n, 11);
  if (memory == NULL) return NULL;
  const int64_t windows = n[1], count = n[2], step_bytes = n[3];
  if (windows < 1 || windows > MOST || count < 1 || count > MOST || step_bytes < 4 * GATES || step_bytes > MOST) {
    napi_throw_range_error(env, NULL, "Expected windows of steps that hold both directions' products");
    return NULL;
  }
  const int64_t steps = windows * count;
  /* Of each: where it begins, and its bytes, in the order of the arguments. */
  const int64_t wanted[][2] = {
    {n[0], (steps - 1) * step_bytes + 4 * GATES},
    {n[4], 4 * windows},
    {n[5], 4 * windows},
    {n[6], 2 * (2 * GATES * UNITS + 8 * GATES)},
    {n[7], 6 * UNITS * count},
    {n[8], windows * (4 * GATES + 6 * UNITS)},
    {n[9], 4 * steps * 2 * UNITS},
    {n[10], 2 * steps * 2 * UNITS},
  };
  void *at[8];
  for (int i = 0; i < 8; i += 1) {
    at[i] = place(env, memory, (int32_t)wanted[i][0], wanted[i][1]);
    if (at[i] == NULL) return NULL;
  }
  const int32_t *order = at[1], *firsts = at[2];
  for (int row = 0; row < windows; row += 1) {
    if (order[row] >= 0 && order[row] < windows && firsts[row] >= 0 && firsts[row] <= count) continue;
    napi_throw_range_error(env, NULL, "Expected an order of the windows, and their first steps within them");
    return NULL;
  }
  lstm(at[0], n[1], n[2], n[3], order, firsts, at[3], at[4], at[5], at[6], at[7]);
  return NULL;
}

/* The last of its functions takes the memory along. */
static void forget(napi_env env, void *of, void *hint) {
  (void)hint;
  Memory *memory = of;
  memory->users -= 1;
  if (memory->users > 0) return;
  napi_delete_reference(env, memory->buffer);
  free(memory);
}

/* `open(buffer)`: the functions on an ArrayBuffer that is never detached, such as a WebAssembly memory's that does not grow. */
static napi_value call_open(napi_env env, napi_callback_info info) {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"multiply", call_multiply}, {"lstm", call_lstm}};
  size_t got = 1;
  napi_value buffer, opened;
  Memory *memory = calloc(1, sizeof *memory);
  if (memory == NULL) return NULL;
  if (napi_get_cb_info(env, info, &got, &buffer, NULL, NULL) != napi_ok || got != 1 ||
      napi_get_arraybuffer_info(env, buffer, (void **)&memory->base, &memory->bytes) != napi_ok) {
    free(memory);
    napi_throw_type_error(env, NULL, "Expected an ArrayBuffer");
    return NULL;
  }
  napi_create_reference(env, buffer, 1, &memory->buffer);
  napi_create_object(env, &opened);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i += 1) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, memory, &function);
    napi_add_finalizer(env, function, memory, forget, NULL, NULL);
    napi_set_named_property(env, opened, functions[i].name, function);
    memory->users += 1;
  }
  return opened;
}

/* `open`, or nothing where the processor has no vectors of 256 bits. */
NAPI_MODULE_INIT() {
  napi_value function;
  if (__builtin_cpu_supports("avx2") && napi_create_function(env, "open", NAPI_AUTO_LENGTH, call_open, NULL, &function) == napi_ok) {
    napi_set_named_property(env, exports, "open", function);
  }
  return exports;
}
