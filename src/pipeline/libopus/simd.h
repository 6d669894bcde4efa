/* SILK's innermost loops in WebAssembly's SIMD, to the bit what libopus 1.4 computes: simd.patch puts them in its place. */
#ifndef UNDERTONE_SIMD_H
#define UNDERTONE_SIMD_H

#include <wasm_simd128.h>
#include "main.h"

/* silk_SMULWB, whose sums are taken modulo 2^32. */
#define PRODUCT(y, a) (opus_int32)(((opus_int64)(y) * (a)) >> 16)

/* The low 32 bits of (a * b) >> 16 in lanes of 64: what is above them is dropped when they are put together. */
static inline v128_t products_low(v128_t a, v128_t b) { return wasm_u64x2_shr(wasm_i64x2_extmul_low_i32x4(a, b), 16); }
static inline v128_t products_high(v128_t a, v128_t b) { return wasm_u64x2_shr(wasm_i64x2_extmul_high_i32x4(a, b), 16); }
static inline v128_t together(v128_t low, v128_t high) { return wasm_i32x4_shuffle(low, high, 0, 2, 4, 6); }

/* silk_ADD_SAT32(residual, silk_LSHIFT_SAT32(prediction, 4)), which saturates hardly ever: then a branch costs less than a choice. */
static inline opus_int32 synthesized(opus_int32 residual, opus_int32 prediction)
{
    opus_int64 shifted = (opus_int64)prediction * 16, sum;
    if (__builtin_expect(shifted != (opus_int32)shifted, 0)) shifted = prediction < 0 ? (opus_int64)silk_int32_MIN : (opus_int64)0x7FFFFFF0;
    sum = residual + shifted;
    if (__builtin_expect(sum != (opus_int32)sum, 0)) sum = sum < 0 ? (opus_int64)silk_int32_MIN : (opus_int64)silk_int32_MAX;
    return (opus_int32)sum;
}

/* What each of four samples adds to the sixteen predictions after the four: its upper and its lower half times the coefficients,
   a product of the lower one as silk_SMLAWB rounds it. `c` are 16 coefficients and then 4 zeros. */
#define PREDICT_PART(c, upper, lower, at) \
    wasm_i32x4_add(wasm_i32x4_mul(upper, wasm_v128_load((c) + (at))), wasm_i32x4_shr(wasm_i32x4_mul(lower, wasm_v128_load((c) + (at))), 16))
#define PREDICT(c, y, nth) do { \
        const v128_t upper = wasm_i32x4_splat((y) >> 16), lower = wasm_i32x4_splat((y) & 0xFFFF); \
        next0 = wasm_i32x4_add(next0, PREDICT_PART(c, upper, lower, 3 - (nth))); \
        next1 = wasm_i32x4_add(next1, PREDICT_PART(c, upper, lower, 7 - (nth))); \
        next2 = wasm_i32x4_add(next2, PREDICT_PART(c, upper, lower, 11 - (nth))); \
        next3 = wasm_i32x4_add(next3, PREDICT_PART(c, upper, lower, 15 - (nth))); \
    } while (0)
#define NEXT_FOUR() do { next0 = next1; next1 = next2; next2 = next3; next3 = bias; } while (0)

/* Short-term synthesis of order 16. `state`: MAX_LPC_ORDER samples before, then room for the `n` (a multiple of 4) to be made, all Q14. */
static inline void synthesize_16(opus_int32 *state, const opus_int32 *residual, const opus_int16 *coefficients, int n)
{
    opus_int32 *y = state + MAX_LPC_ORDER;
    opus_int32 c[20];
    int i;
    for (i = 0; i < 16; i++) c[i] = coefficients[i];
    for (; i < 20; i++) c[i] = 0;
    const v128_t bias = wasm_i32x4_splat(8);
    v128_t next0 = bias, next1 = bias, next2 = bias, next3 = bias;
    for (i = -16; i < 0; i += 4) {
        NEXT_FOUR();
        PREDICT(c, y[i], 0); PREDICT(c, y[i + 1], 1); PREDICT(c, y[i + 2], 2); PREDICT(c, y[i + 3], 3);
    }
    const opus_int32 c0 = c[0], c1 = c[1], c2 = c[2];
    for (i = 0; i < n; i += 4) {
        const opus_int32 p0 = wasm_i32x4_extract_lane(next0, 0), p1 = wasm_i32x4_extract_lane(next0, 1);
        const opus_int32 p2 = wasm_i32x4_extract_lane(next0, 2), p3 = wasm_i32x4_extract_lane(next0, 3);
        NEXT_FOUR();
        const opus_int32 y0 = synthesized(residual[i], p0);
        const opus_int32 y1 = synthesized(residual[i + 1], p1 + PRODUCT(y0, c0));
        const opus_int32 y2 = synthesized(residual[i + 2], p2 + PRODUCT(y0, c1) + PRODUCT(y1, c0));
        const opus_int32 y3 = synthesized(residual[i + 3], p3 + PRODUCT(y0, c2) + PRODUCT(y1, c1) + PRODUCT(y2, c0));
        y[i] = y0; y[i + 1] = y1; y[i + 2] = y2; y[i + 3] = y3;
        PREDICT(c, y0, 0); PREDICT(c, y1, 1); PREDICT(c, y2, 2); PREDICT(c, y3, 3);
    }
}

/* Samples Q14 times a gain Q10, rounded and saturated to 16 bits; `n` is a multiple of 4. */
static inline void scale(opus_int16 *x, const opus_int32 *y, opus_int32 gain, int n)
{
    const v128_t gains = wasm_i32x4_splat(gain), one = wasm_i32x4_splat(1);
    for (int i = 0; i < n; i += 4) {
        const v128_t samples = wasm_v128_load(y + i);
        v128_t v = together(products_low(samples, gains), products_high(samples, gains));
        v = wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_shr(v, 7), one), 1);
        wasm_v128_store64_lane(x + i, wasm_i16x8_narrow_i32x4(v, v), 0);
    }
}

/* Long-term synthesis: `n` (a multiple of 4) residuals, and twice each in `states`. `past` points at the newest sample of the first
   five; the shortest lag is 16 samples, so that none of four needs another of them. */
static inline void predict_long_term(
    opus_int32 *residual, opus_int32 *states, const opus_int32 *excitation, const opus_int32 *past, const opus_int16 *taps, int n)
{
    const v128_t t0 = wasm_i32x4_splat(taps[0]), t1 = wasm_i32x4_splat(taps[1]), t2 = wasm_i32x4_splat(taps[2]);
    const v128_t t3 = wasm_i32x4_splat(taps[3]), t4 = wasm_i32x4_splat(taps[4]), bias = wasm_i32x4_splat(2);
    for (int i = 0; i < n; i += 4) {
        const v128_t x0 = wasm_v128_load(past + i), x1 = wasm_v128_load(past + i - 1), x2 = wasm_v128_load(past + i - 2);
        const v128_t x3 = wasm_v128_load(past + i - 3), x4 = wasm_v128_load(past + i - 4);
        v128_t low = wasm_i64x2_add(products_low(x0, t0), products_low(x1, t1)), high = wasm_i64x2_add(products_high(x0, t0), products_high(x1, t1));
        low = wasm_i64x2_add(low, wasm_i64x2_add(products_low(x2, t2), products_low(x3, t3)));
        high = wasm_i64x2_add(high, wasm_i64x2_add(products_high(x2, t2), products_high(x3, t3)));
        low = wasm_i64x2_add(low, products_low(x4, t4));
        high = wasm_i64x2_add(high, products_high(x4, t4));
        const v128_t prediction = wasm_i32x4_add(together(low, high), bias);
        const v128_t r = wasm_i32x4_add(wasm_v128_load(excitation + i), wasm_i32x4_shl(prediction, 1));
        wasm_v128_store(residual + i, r);
        wasm_v128_store(states + i, wasm_i32x4_shl(r, 1));
    }
}

static inline v128_t sixteen_products(const opus_int16 *in, v128_t low, v128_t high)
{
    return wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_v128_load(in), low), wasm_i32x4_dot_i16x8(wasm_v128_load(in + 8), high));
}

/* Short-term analysis of order 16, in fours from sample 16 on; where it ended, before `length`. */
static inline int analyse_16(opus_int16 *out, const opus_int16 *in, const opus_int16 *coefficients, int length)
{
    const v128_t one = wasm_i32x4_splat(1);
    v128_t low = wasm_v128_load(coefficients + 8), high = wasm_v128_load(coefficients);
    int i;
    low = wasm_i16x8_shuffle(low, low, 7, 6, 5, 4, 3, 2, 1, 0);
    high = wasm_i16x8_shuffle(high, high, 7, 6, 5, 4, 3, 2, 1, 0);
    for (i = 16; i + 4 <= length; i += 4) {
        const v128_t s0 = sixteen_products(in + i - 16, low, high), s1 = sixteen_products(in + i - 15, low, high);
        const v128_t s2 = sixteen_products(in + i - 14, low, high), s3 = sixteen_products(in + i - 13, low, high);
        const v128_t a = wasm_i32x4_add(wasm_i32x4_shuffle(s0, s1, 0, 4, 1, 5), wasm_i32x4_shuffle(s0, s1, 2, 6, 3, 7));
        const v128_t b = wasm_i32x4_add(wasm_i32x4_shuffle(s2, s3, 0, 4, 1, 5), wasm_i32x4_shuffle(s2, s3, 2, 6, 3, 7));
        const v128_t sum = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 1, 4, 5), wasm_i32x4_shuffle(a, b, 2, 3, 6, 7));
        v128_t v = wasm_i32x4_sub(wasm_i32x4_shl(wasm_i32x4_load16x4(in + i), 12), sum);
        v = wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_shr(v, 11), one), 1);
        wasm_v128_store64_lane(out + i, wasm_i16x8_narrow_i32x4(v, v), 0);
    }
    return i;
}

/* Which of sixteen pulses are above 0, a bit each. */
static inline opus_uint32 pulses_there(const opus_int16 *pulses)
{
    const v128_t none = wasm_i16x8_splat(0);
    return wasm_i8x16_bitmask(wasm_i8x16_narrow_i16x8(wasm_i16x8_gt(wasm_v128_load(pulses), none), wasm_i16x8_gt(wasm_v128_load(pulses + 8), none)));
}

#endif
