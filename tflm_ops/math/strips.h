#ifndef TFLM_OPS_MATH_STRIPS_H_
#define TFLM_OPS_MATH_STRIPS_H_

// Walks over the positions of a map in strips: four positions that use the same taps, side by side
// or below one another, or a single one where no four agree. A strip shares a register tile. Who
// reads zeros for padding can have more of them: four side by side that do not quite agree.

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
  int width;      // 0, or that of the other side: some of the four meet padding at some taps, left
                  // or right of it. Then `read` is where the row begins.
};

// The most floats of a position that there are zeros for in place of padding.
constexpr int kZeros = 64;

// Where the four positions of a strip with a width meet its tap-th tap across.
//
// Args:
//   row: the floats of the other side's row.
//   pitch: from a position of it to the next.
//   places: [4], pointers to a position's floats, or to zeros in place of padding.
void MeetTap(const Strip& strip, int tap, const float* row, int pitch, const float** places);

// What VisitOutputStrips calls for each strip, with the context that it was given.
typedef void (*StripVisitor)(const void* context, const Strip& strip);

// All output positions of a convolution.
//
// Args:
//   border: whether there may be strips that meet padding.
void VisitOutputStrips(const Axis& h, const Axis& w, bool border, StripVisitor visit,
                       const void* context);

// All input positions; those a stride apart use the same taps.
void VisitInputStrips(const Axis& h, const Axis& w, bool border, StripVisitor visit,
                      const void* context);

// The same for anything that can be called with a strip; the walk itself exists only once.
template <typename Function>
void CallWithStrip(const void* function, const Strip& strip) {
  (*static_cast<const Function*>(function))(strip);
}

template <typename Function>
void ForEachOutputStrip(const Axis& h, const Axis& w, bool border, const Function& f) {
  VisitOutputStrips(h, w, border, CallWithStrip<Function>, &f);
}

template <typename Function>
void ForEachInputStrip(const Axis& h, const Axis& w, bool border, const Function& f) {
  VisitInputStrips(h, w, border, CallWithStrip<Function>, &f);
}

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_STRIPS_H_
