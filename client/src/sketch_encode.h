// What a report carries of a sketch: its direction in half precision.
#ifndef MUSTER_CLIENT_SRC_SKETCH_ENCODE_H_
#define MUSTER_CLIENT_SRC_SKETCH_ENCODE_H_

#include <cstddef>

namespace muster {

// Writes values[i] / norm for i < count as binary16, little endian, into
// 2·count bytes of `wire` of any alignment. The quotient is rounded to
// binary32, then to binary16, to nearest even each time; from 65520 on it
// becomes infinity. Requires: no quotient is NaN, and count is a multiple
// of 64.
void EncodeHalves(const double* values, size_t count, double norm,
                  unsigned char* wire);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_SKETCH_ENCODE_H_
