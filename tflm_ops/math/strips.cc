#include "tflm_ops/math/strips.h"

#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

// How far apart, in rows and columns, positions lie that can share their taps, and the width of
// their map.
struct Spread {
  int rows;
  int columns;
  int width;
};

// One side of a convolution, whose positions are walked over.
struct Side {
  Spread at;
  Spread read;                                        // What these meet on the other side.
  Taps (*taps_of)(const Axis&, int);                  // TapsOfOutput or TapsOfInput.
  bool (*four_share)(const Axis&, int, const Taps&);  // FourOutputs.. or FourInputsShareTaps.
  StripVisitor visit;
  const void* context;
};

// One or four rows from `row` on that share the taps `th` of the first of them.
void VisitRows(const Side& side, const Axis& w, int row, int rows, const Taps& th) {
  const Spread& at = side.at;
  const Spread& read = side.read;
  const int down = at.rows * at.width;
  const int read_down = read.rows * read.width;
  for (int phase = 0; phase < at.columns && phase < at.width; ++phase) {
    for (int column = phase; column < at.width;) {
      const Taps tw = side.taps_of(w, column);
      Strip strip = {rows, row * at.width + column, down, th.at * read.width + tw.at, read_down, th,
                     tw};
      if (!side.four_share(w, column, tw)) {
        side.visit(side.context, strip);
        column += at.columns;
        continue;
      }
      strip.size = 4;
      strip.step = at.columns;
      strip.read_step = read.columns;
      for (int r = 0; r < rows; ++r) {
        side.visit(side.context, strip);
        strip.first += down;
        strip.read += read_down;
      }
      column += 4 * at.columns;
    }
  }
}

void VisitSide(const Side& side, const Axis& h, const Axis& w, int height) {
  for (int phase = 0; phase < side.at.rows && phase < height; ++phase) {
    for (int row = phase; row < height;) {
      const Taps th = side.taps_of(h, row);
      const int rows = side.four_share(h, row, th) ? 4 : 1;
      VisitRows(side, w, row, rows, th);
      row += rows * side.at.rows;
    }
  }
}

}  // namespace

void VisitOutputStrips(const Axis& h, const Axis& w, StripVisitor visit, const void* context) {
  VisitSide({{1, 1, w.out},
             {h.stride, w.stride, w.in},
             TapsOfOutput,
             FourOutputsShareTaps,
             visit,
             context},
            h, w, h.out);
}

void VisitInputStrips(const Axis& h, const Axis& w, StripVisitor visit, const void* context) {
  VisitSide(
      {{h.stride, w.stride, w.in}, {1, 1, w.out}, TapsOfInput, FourInputsShareTaps, visit, context},
      h, w, h.in);
}

}  // namespace math
}  // namespace medyate
