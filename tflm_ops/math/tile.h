#ifndef TFLM_OPS_MATH_TILE_H_
#define TFLM_OPS_MATH_TILE_H_

// Register tiles: the inner loops of every layer. A tile of 4 x 4 sums takes 16 of the 32 registers
// of a Cortex-M4F's FPU and spends 8 loads on 16 multiply-accumulates. Each sum of a tile is taken
// in rising k on its own, so that no result depends on how the sums were grouped into tiles.
//
// Vec, Cursor and Tile exist for the sizes 4 and 1 (what is left over at an edge). They hold
// named members, not arrays: compilers keep them in registers at every optimization level.

#include "tflm_ops/math/fast.h"

// Source order is what fits the registers: scheduling loads early, merging sums and turning
// addresses into loop variables all spill. The fence keeps loads on their side of it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns", "no-tree-ter", "no-ivopts")
#endif
#if defined(__GNUC__)
#define MEDYATE_FENCE() __asm__ volatile("" ::: "memory")
#else
#define MEDYATE_FENCE()
#endif

namespace medyate {
namespace math {

// N floats.
template <int N>
struct Vec;

template <>
struct Vec<4> {
  float v0, v1, v2, v3;

  static MEDYATE_ALWAYS_INLINE Vec Zero() { return {0.0f, 0.0f, 0.0f, 0.0f}; }
  static MEDYATE_ALWAYS_INLINE Vec Load(const float* p) { return {p[0], p[1], p[2], p[3]}; }
  MEDYATE_ALWAYS_INLINE void Store(float* p) const {
    p[0] = v0;
    p[1] = v1;
    p[2] = v2;
    p[3] = v3;
  }
  // this += s * x.
  MEDYATE_ALWAYS_INLINE void AddScaled(float s, const Vec& x) {
    const float p0 = s * x.v0;
    const float p1 = s * x.v1;
    const float p2 = s * x.v2;
    const float p3 = s * x.v3;
    v0 += p0;
    v1 += p1;
    v2 += p2;
    v3 += p3;
  }
  // this += x * y, element by element.
  MEDYATE_ALWAYS_INLINE void AddProduct(const Vec& x, const Vec& y) {
    const float p0 = x.v0 * y.v0;
    const float p1 = x.v1 * y.v1;
    const float p2 = x.v2 * y.v2;
    const float p3 = x.v3 * y.v3;
    v0 += p0;
    v1 += p1;
    v2 += p2;
    v3 += p3;
  }
  MEDYATE_ALWAYS_INLINE void Add(const Vec& x) {
    v0 += x.v0;
    v1 += x.v1;
    v2 += x.v2;
    v3 += x.v3;
  }
};

template <>
struct Vec<1> {
  float v0;

  static MEDYATE_ALWAYS_INLINE Vec Zero() { return {0.0f}; }
  static MEDYATE_ALWAYS_INLINE Vec Load(const float* p) { return {p[0]}; }
  MEDYATE_ALWAYS_INLINE void Store(float* p) const { p[0] = v0; }
  MEDYATE_ALWAYS_INLINE void AddScaled(float s, const Vec& x) { v0 += s * x.v0; }
  MEDYATE_ALWAYS_INLINE void AddProduct(const Vec& x, const Vec& y) { v0 += x.v0 * y.v0; }
  MEDYATE_ALWAYS_INLINE void Add(const Vec& x) { v0 += x.v0; }
};

// N places in memory that advance together; T is float or const float.
template <int N, typename T = const float>
struct Cursor;

template <typename T>
struct Cursor<4, T> {
  T *p0, *p1, *p2, *p3;

  // p, p + stride, p + 2 stride, ...
  static MEDYATE_ALWAYS_INLINE Cursor Strided(T* p, int stride) {
    return {p, p + stride, p + 2 * stride, p + 3 * stride};
  }
  // The places of an array.
  static MEDYATE_ALWAYS_INLINE Cursor Of(T* const* p) { return {p[0], p[1], p[2], p[3]}; }
  // p + index[0], p + index[1], ...; Index is an integer type.
  template <typename Index>
  static MEDYATE_ALWAYS_INLINE Cursor At(T* p, const Index* index) {
    return {p + index[0], p + index[1], p + index[2], p + index[3]};
  }
  MEDYATE_ALWAYS_INLINE Vec<4> Load(int offset = 0) const {
    return {p0[offset], p1[offset], p2[offset], p3[offset]};
  }
  MEDYATE_ALWAYS_INLINE void Store(const Vec<4>& v) const {
    *p0 = v.v0;
    *p1 = v.v1;
    *p2 = v.v2;
    *p3 = v.v3;
  }
  MEDYATE_ALWAYS_INLINE void Advance(int step) {
    p0 += step;
    p1 += step;
    p2 += step;
    p3 += step;
  }
};

template <typename T>
struct Cursor<1, T> {
  T* p0;

  static MEDYATE_ALWAYS_INLINE Cursor Strided(T* p, int) { return {p}; }
  static MEDYATE_ALWAYS_INLINE Cursor Of(T* const* p) { return {p[0]}; }
  template <typename Index>
  static MEDYATE_ALWAYS_INLINE Cursor At(T* p, const Index* index) {
    return {p + index[0]};
  }
  MEDYATE_ALWAYS_INLINE Vec<1> Load(int offset = 0) const { return {p0[offset]}; }
  MEDYATE_ALWAYS_INLINE void Store(const Vec<1>& v) const { *p0 = v.v0; }
  MEDYATE_ALWAYS_INLINE void Advance(int step) { p0 += step; }
};

// P rows of Q sums.
template <int P, int Q>
struct Tile;

template <int Q>
struct Tile<4, Q> {
  Vec<Q> r0, r1, r2, r3;

  static MEDYATE_ALWAYS_INLINE Tile All(const Vec<Q>& v) { return {v, v, v, v}; }
  // Rows at p, p + row, p + 2 row, p + 3 row.
  static MEDYATE_ALWAYS_INLINE Tile Load(const float* p, int row) {
    return {Vec<Q>::Load(p), Vec<Q>::Load(p + row), Vec<Q>::Load(p + 2 * row),
            Vec<Q>::Load(p + 3 * row)};
  }
  MEDYATE_ALWAYS_INLINE void Store(float* p, int row) const {
    r0.Store(p);
    r1.Store(p + row);
    r2.Store(p + 2 * row);
    r3.Store(p + 3 * row);
  }
  // this[p][q] += x[p] * y[q].
  MEDYATE_ALWAYS_INLINE void AddOuterProduct(const Vec<4>& x, const Vec<Q>& y) {
    r0.AddScaled(x.v0, y);
    r1.AddScaled(x.v1, y);
    r2.AddScaled(x.v2, y);
    r3.AddScaled(x.v3, y);
  }
  // this[p][q] += x[p * row + q] * y[q].
  MEDYATE_ALWAYS_INLINE void AddProducts(const float* x, int row, const Vec<Q>& y) {
    r0.AddProduct(Vec<Q>::Load(x), y);
    r1.AddProduct(Vec<Q>::Load(x + row), y);
    r2.AddProduct(Vec<Q>::Load(x + 2 * row), y);
    r3.AddProduct(Vec<Q>::Load(x + 3 * row), y);
  }
  MEDYATE_ALWAYS_INLINE void Add(const Tile& t) {
    r0.Add(t.r0);
    r1.Add(t.r1);
    r2.Add(t.r2);
    r3.Add(t.r3);
  }
};

template <int Q>
struct Tile<1, Q> {
  Vec<Q> r0;

  static MEDYATE_ALWAYS_INLINE Tile All(const Vec<Q>& v) { return {v}; }
  static MEDYATE_ALWAYS_INLINE Tile Load(const float* p, int) { return {Vec<Q>::Load(p)}; }
  MEDYATE_ALWAYS_INLINE void Store(float* p, int) const { r0.Store(p); }
  MEDYATE_ALWAYS_INLINE void AddOuterProduct(const Vec<1>& x, const Vec<Q>& y) {
    r0.AddScaled(x.v0, y);
  }
  MEDYATE_ALWAYS_INLINE void AddProducts(const float* x, int, const Vec<Q>& y) {
    r0.AddProduct(Vec<Q>::Load(x), y);
  }
  MEDYATE_ALWAYS_INLINE void Add(const Tile& t) { r0.Add(t.r0); }
};

// The sums of a 4 x 4 tile take four k in a turn, for pointers to move less often; what is left
// over comes first. The fences keep a compiler from mixing the four and running out of registers.

// tile[p][q] += sum over k < depth of rows[p][k * a_step] * b[k * b_step + q].
//
// kFast: where it may be much code for few instructions.
template <int P, int Q, bool kFast = true>
MEDYATE_ALWAYS_INLINE void AddOuterProducts(Cursor<P> rows, int a_step, const float* b, int b_step,
                                            int depth, Tile<P, Q>* tile) {
  const bool kUnrolled = kFast && P * Q == 16;
  for (int rest = kUnrolled ? depth & 3 : depth; rest > 0; --rest) {
    tile->AddOuterProduct(rows.Load(), Vec<Q>::Load(b));
    rows.Advance(a_step);
    b += b_step;
  }
  for (int turns = kUnrolled ? depth >> 2 : 0; turns > 0; --turns) {
    tile->AddOuterProduct(rows.Load(), Vec<Q>::Load(b));
    b += b_step;
    MEDYATE_FENCE();
    tile->AddOuterProduct(rows.Load(a_step), Vec<Q>::Load(b));
    b += b_step;
    MEDYATE_FENCE();
    tile->AddOuterProduct(rows.Load(2 * a_step), Vec<Q>::Load(b));
    b += b_step;
    MEDYATE_FENCE();
    tile->AddOuterProduct(rows.Load(3 * a_step), Vec<Q>::Load(b));
    b += b_step;
    rows.Advance(4 * a_step);
  }
}

// tile[p][q] += sum over k < depth of rows[p][k] * runs[k][offset + q].
template <int P, int Q>
MEDYATE_ALWAYS_INLINE void AddOuterProductsOfRuns(Cursor<P> rows, const float* const* runs,
                                                  int offset, int depth, Tile<P, Q>* tile) {
  const bool kUnrolled = P * Q == 16;
  for (int rest = kUnrolled ? depth & 3 : depth; rest > 0; --rest) {
    tile->AddOuterProduct(rows.Load(), Vec<Q>::Load(*runs++ + offset));
    rows.Advance(1);
  }
  for (int turns = kUnrolled ? depth >> 2 : 0; turns > 0; --turns) {
    tile->AddOuterProduct(rows.Load(), Vec<Q>::Load(runs[0] + offset));
    MEDYATE_FENCE();
    tile->AddOuterProduct(rows.Load(1), Vec<Q>::Load(runs[1] + offset));
    MEDYATE_FENCE();
    tile->AddOuterProduct(rows.Load(2), Vec<Q>::Load(runs[2] + offset));
    MEDYATE_FENCE();
    tile->AddOuterProduct(rows.Load(3), Vec<Q>::Load(runs[3] + offset));
    rows.Advance(4);
    runs += 4;
  }
}

// tile[p][q] += sum over k < depth of a_rows[p][k] * b_rows[q][k].
template <int P, int Q>
MEDYATE_ALWAYS_INLINE void AddDotProducts(Cursor<P> a_rows, Cursor<Q> b_rows, int depth,
                                          Tile<P, Q>* tile) {
  const bool kUnrolled = P * Q == 16;
  for (int rest = kUnrolled ? depth & 3 : depth; rest > 0; --rest) {
    tile->AddOuterProduct(a_rows.Load(), b_rows.Load());
    a_rows.Advance(1);
    b_rows.Advance(1);
  }
  for (int turns = kUnrolled ? depth >> 2 : 0; turns > 0; --turns) {
    tile->AddOuterProduct(a_rows.Load(), b_rows.Load());
    MEDYATE_FENCE();
    tile->AddOuterProduct(a_rows.Load(1), b_rows.Load(1));
    MEDYATE_FENCE();
    tile->AddOuterProduct(a_rows.Load(2), b_rows.Load(2));
    MEDYATE_FENCE();
    tile->AddOuterProduct(a_rows.Load(3), b_rows.Load(3));
    a_rows.Advance(4);
    b_rows.Advance(4);
  }
}

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_TILE_H_
