#ifndef TFLM_OPS_MATH_STRIPS_H_
#define TFLM_OPS_MATH_STRIPS_H_

// Walks over the positions of a map in strips: four positions that use the same taps, side by side
// or below one another, or a single one where no four agree. A strip shares a register tile.

#include "tflm_ops/math/shape.h"

namespace medyate {
namespace math {

// Positions are numbered row by row.
struct Strip {
  int size;       // 4 or 1.
  int first;      // Its first position.
  int step;       // From one of its positions to the next.
  int read;       // The position on the other side that the first one meets with its first tap.
  int read_step;  // From there to what the next one meets.
  Taps th;        // Down.
  Taps tw;        // Across.
};

// What VisitOutputStrips calls for each strip, with the context that it was given.
typedef void (*StripVisitor)(const void* context, const Strip& strip);

// All output positions of a convolution.
void VisitOutputStrips(const Axis& h, const Axis& w, StripVisitor visit, const void* context);

// All input positions; those a stride apart use the same taps.
void VisitInputStrips(const Axis& h, const Axis& w, StripVisitor visit, const void* context);

// The same for anything that can be called with a strip; the walk itself exists only once.
template <typename Function>
void CallWithStrip(const void* function, const Strip& strip) {
  (*static_cast<const Function*>(function))(strip);
}

template <typename Function>
void ForEachOutputStrip(const Axis& h, const Axis& w, const Function& f) {
  VisitOutputStrips(h, w, CallWithStrip<Function>, &f);
}

template <typename Function>
void ForEachInputStrip(const Axis& h, const Axis& w, const Function& f) {
  VisitInputStrips(h, w, CallWithStrip<Function>, &f);
}

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_STRIPS_H_
