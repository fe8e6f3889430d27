// A hash of long vectors that sees a change of any bit and of any order, at the
// speed of memory. docs/sketch.md, "Fingerprints", is its specification.
#ifndef MUSTER_CLIENT_SRC_FINGERPRINT_H_
#define MUSTER_CLIENT_SRC_FINGERPRINT_H_

#include <cstddef>
#include <cstdint>

namespace muster {

// Fingerprint of `bytes` bytes (their bits, whatever they mean) at `position`
// of a longer vector: the sum, modulo 2⁶⁴, over its pieces is one of the whole,
// and does not depend on the order in which they come. It depends on how the
// vector is cut into pieces. Two different pieces of one length have the same
// fingerprint with a chance of about 2⁻³². `data` need not be aligned.
uint64_t Fingerprint(uint64_t position, const void* data, size_t bytes);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_FINGERPRINT_H_
