/*
 * The products and the LSTM of the network's kernel, in vectors of 512 or 256 bits where WebAssembly has 128: functions of the same names
 * and arguments as in `../assembly`, on the memory of its instance, which make the same numbers to the bit.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <node_api.h>

#include "avx2.h"
#include "avx512.h"
#include "vectors.h"

/* The memory that positions are of. */
typedef struct {
  const Vectors *by;
  uint8_t *base;
  size_t bytes;
  napi_ref buffer;
  /* Functions that are not collected yet. */
  int users;
} Memory;

/* Nothing that is counted is more: so no number of bytes leaves 64 bits. */
enum { MOST = 1 << 16 };

static bool has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
}

static bool has_avx2(void) { return __builtin_cpu_supports("avx2"); }

/* The fastest first. */
static const Vectors known[] = {
  {"AVX-512", has_avx512, multiply_by_sixteen, multiply_floats_by_sixteen, advance_by_sixteen},
  {"AVX2", has_avx2, multiply_by_eight, multiply_floats_by_eight, advance_by_eight},
};

enum { KNOWN = sizeof known / sizeof *known, OUTPUTS = 16 };

static int first_of(int row, const int32_t *order, const int32_t *firsts) { return firsts[order[row]]; }

static void lstm(const Vectors *by, const uint8_t *products, int windows, int count, int step_bytes, const int32_t *order, const int32_t *firsts,
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
      by->multiply(states, (const int16_t *)weights, sums, running, UNITS, GATES);
      for (int row = 0; row < running; row += 1) {
        const size_t place = (size_t)order[row] * count + step;
        by->advance(sums + GATES * row, (const int16_t *)(products + place * step_bytes) + way * GATES, steps, bias, cells + UNITS * row,
                states + UNITS * row, to + (2 * place + way) * UNITS, wholes + (2 * place + way) * UNITS);
      }
    }
    weights = (const uint8_t *)(bias + GATES);
  }
}

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

/* Whether rows, inputs and outputs are as many as a product may have. */
static bool counts(const int32_t *n) {
  for (int i = 0; i < 3; i += 1) {
    if (n[i] < 0 || n[i] > MOST) return false;
  }
  return true;
}

static napi_value call_multiply(napi_env env, napi_callback_info info) {
  int32_t n[6];
  const Memory *memory = called(env, info, n, 6);
  if (memory == NULL) return NULL;
  const int64_t rows = n[3], inputs = n[4], outputs = n[5];
  if (!counts(n + 3) || inputs % 2 != 0 || outputs % OUTPUTS != 0) {
    napi_throw_range_error(env, NULL, "Expected rows, an even number of inputs and a multiple of 16 outputs");
    return NULL;
  }
  const int16_t *x = place(env, memory, n[0], 2 * rows * inputs);
  const int16_t *weights = x == NULL ? NULL : place(env, memory, n[1], 2 * inputs * outputs);
  int32_t *sums = weights == NULL ? NULL : place(env, memory, n[2], 4 * rows * outputs);
  if (sums != NULL) memory->by->multiply(x, weights, sums, n[3], n[4], n[5]);
  return NULL;
}

static napi_value call_multiply_floats(napi_env env, napi_callback_info info) {
  int32_t n[8];
  const Memory *memory = called(env, info, n, 8);
  if (memory == NULL) return NULL;
  const int64_t rows = n[4], inputs = n[5], outputs = n[6];
  if (!counts(n + 4) || outputs % 8 != 0) {
    napi_throw_range_error(env, NULL, "Expected rows, inputs and a multiple of 8 outputs");
    return NULL;
  }
  const float *x = place(env, memory, n[0], 4 * rows * inputs);
  const float *weights = x == NULL ? NULL : place(env, memory, n[1], 4 * inputs * outputs);
  const float *bias = weights == NULL ? NULL : place(env, memory, n[2], 4 * outputs);
  float *to = bias == NULL ? NULL : place(env, memory, n[3], 4 * rows * outputs);
  if (to != NULL) memory->by->multiply_floats(x, weights, bias, to, n[4], n[5], n[6], n[7] != 0);
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
  lstm(memory->by, at[0], n[1], n[2], n[3], order, firsts, at[3], at[4], at[5], at[6], at[7]);
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

/* The vectors of a name, if this processor has them; the fastest for no name. */
static const Vectors *named(const char *name) {
  for (int i = 0; i < KNOWN; i += 1) {
    if (known[i].here() && (name == NULL || strcmp(name, known[i].name) == 0)) return &known[i];
  }
  return NULL;
}

/*
 * `open(buffer, vectors)`: the functions on an ArrayBuffer that is never detached, such as a WebAssembly memory's that does not grow, by the
 * vectors of that name; without one, by the fastest.
 */
static napi_value call_open(napi_env env, napi_callback_info info) {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"multiply", call_multiply}, {"multiplyFloats", call_multiply_floats}, {"lstm", call_lstm}};
  size_t got = 2, length;
  napi_value given[2], opened;
  char name[16];
  Memory *memory = calloc(1, sizeof *memory);
  if (memory == NULL) return NULL;
  if (napi_get_cb_info(env, info, &got, given, NULL, NULL) != napi_ok || got < 1 ||
      napi_get_arraybuffer_info(env, given[0], (void **)&memory->base, &memory->bytes) != napi_ok) {
    free(memory);
    napi_throw_type_error(env, NULL, "Expected an ArrayBuffer");
    return NULL;
  }
  const bool any = got == 1;
  if (any || napi_get_value_string_utf8(env, given[1], name, sizeof name, &length) == napi_ok) memory->by = named(any ? NULL : name);
  if (memory->by == NULL) {
    free(memory);
    napi_throw_type_error(env, NULL, "Expected the name of vectors that this processor has");
    return NULL;
  }
  napi_create_reference(env, given[0], 1, &memory->buffer);
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

/* `open`, and `vectors`, the names of those that this processor has, the fastest first. */
NAPI_MODULE_INIT() {
  napi_value function, names, name;
  napi_create_array(env, &names);
  uint32_t count = 0;
  for (int i = 0; i < KNOWN; i += 1) {
    if (!known[i].here()) continue;
    napi_create_string_utf8(env, known[i].name, NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, names, count++, name);
  }
  napi_create_function(env, "open", NAPI_AUTO_LENGTH, call_open, NULL, &function);
  napi_set_named_property(env, exports, "open", function);
  napi_set_named_property(env, exports, "vectors", names);
  return exports;
}
