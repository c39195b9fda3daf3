#include "tflm_ops/math/strips.h"

#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

const float zeros[kZeros] = {};

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
  Spread read;                        // What these meet on the other side.
  Taps (*taps_of)(const Axis&, int);  // TapsOfOutput or TapsOfInput.
  bool border;
  StripVisitor visit;
  const void* context;
};

// Whether the first and the last of four positions use the same taps, and some. Then so do the two
// between: a tap that only these use would need a side shorter than the one that the others share.
bool FourShare(const Taps& first, const Taps& last) {
  return first.count > 0 && SameTaps(first, last);
}

// The taps that any of four positions uses, the first of which uses `first` and the last `last`;
// false if less than half of them would be of use, or if too few are known.
bool JoinTaps(const Taps& first, const Taps& last, Taps* joint) {
  if (first.count == 0 || last.count == 0 || first.count + last.count == 2) return false;
  *joint = first.count > 1 ? first : last;
  const int step = joint->step;
  const int end = first.first + first.count * step;
  const int last_end = last.first + last.count * step;
  joint->first = first.first < last.first ? first.first : last.first;
  joint->count = ((end > last_end ? end : last_end) - joint->first) / step;
  joint->at = first.at + (joint->first - first.first) / step * joint->at_step;
  return first.count + last.count >= joint->count;
}

// One or four rows from `row` on that share the taps `th` of the first of them.
void VisitRows(const Side& side, const Axis& w, int row, int rows, const Taps& th) {
  const Spread& at = side.at;
  const Spread& read = side.read;
  const int down = at.rows * at.width;
  const int read_down = read.rows * read.width;
  for (int phase = 0; phase < at.columns && phase < at.width; ++phase) {
    for (int column = phase; column < at.width;) {
      const Taps tw = side.taps_of(w, column);
      Strip strip = {
          rows, row * at.width + column, down, th.at * read.width + tw.at, read_down, th, tw, 0};
      const int last = column + 3 * at.columns;
      bool across = false;
      if (last < at.width) {
        const Taps tw_last = side.taps_of(w, last);
        across = FourShare(tw, tw_last);
        Taps joint;
        if (!across && side.border && rows == 1 && JoinTaps(tw, tw_last, &joint)) {
          across = true;
          strip.tw = joint;
          strip.width = read.width;
          strip.read -= tw.at;
        }
      }
      int visits = 1;
      if (across) {
        visits = rows;
        strip.size = 4;
        strip.step = at.columns;
        strip.read_step = read.columns;
      }
      for (; visits > 0; --visits) {
        side.visit(side.context, strip);
        strip.first += down;
        strip.read += read_down;
      }
      column += across ? 4 * at.columns : at.columns;
    }
  }
}

void VisitSide(const Side& side, const Axis& h, const Axis& w, int height) {
  for (int phase = 0; phase < side.at.rows && phase < height; ++phase) {
    for (int row = phase; row < height;) {
      const Taps th = side.taps_of(h, row);
      const int last = row + 3 * side.at.rows;
      const int rows = last < height && FourShare(th, side.taps_of(h, last)) ? 4 : 1;
      VisitRows(side, w, row, rows, th);
      row += rows * side.at.rows;
    }
  }
}

}  // namespace

void MeetTap(const Strip& strip, int tap, const float* row, int pitch, const float** places) {
  int column = strip.tw.at + tap * strip.tw.at_step;
  for (int p = 0; p < 4; ++p, column += strip.read_step) {
    places[p] = column >= 0 && column < strip.width ? row + column * pitch : zeros;
  }
}

void VisitOutputStrips(const Axis& h, const Axis& w, bool border, StripVisitor visit,
                       const void* context) {
  VisitSide({{1, 1, w.out}, {h.stride, w.stride, w.in}, TapsOfOutput, border, visit, context}, h, w,
            h.out);
}

void VisitInputStrips(const Axis& h, const Axis& w, bool border, StripVisitor visit,
                      const void* context) {
  VisitSide({{h.stride, w.stride, w.in}, {1, 1, w.out}, TapsOfInput, border, visit, context}, h, w,
            h.in);
}

}  // namespace math
}  // namespace medyate
