/* What is there once for each width of vectors: products, and the LSTM's gates. All make the same numbers to the bit. */
#ifndef UNDERTONE_VECTORS_H
#define UNDERTONE_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

enum { UNITS = 96, GATES = 4 * UNITS };

typedef struct {
  const char *name;
  /* Whether this processor has them, and the system keeps their registers. */
  bool (*here)(void);
  /* Rows `[rows][inputs]` by weights to sums `[rows][outputs]`, as `multiply` of `../assembly/product.ts`. */
  void (*multiply)(const int16_t *x, const int16_t *weights, int32_t *sums, int rows, int inputs, int outputs);
  /* The same of floats, each output's sum in the order of the inputs from the bias on; `outputs` is a multiple of 8. */
  void (*multiply_floats)(const float *x, const float *weights, const float *bias, float *to, int rows, int inputs, int outputs, bool cut);
  /* One step of one window: gates input, output, forget, cell. */
  void (*advance)(const int32_t *sums, const int16_t *products, const float *steps, const float *bias, float *cell, int16_t *state,
                  float *to, int16_t *wholes);
} Vectors;

#endif
