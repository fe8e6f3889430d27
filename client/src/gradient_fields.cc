#include "client/src/gradient_fields.h"

#include <cmath>

#include "client/src/wire.h"

namespace muster {
namespace {

// True if all half-precision numbers are 0 or −0, as when two elements that
// cancel share a lane: such a sketch has no direction, and would be refused.
bool IsAllZero(const std::string& sketch) {
  for (size_t i = 0; i + 1 < sketch.size(); i += 2) {
    if (sketch[i] != 0 || (sketch[i + 1] & 0x7F) != 0) return false;
  }
  return true;
}

}  // namespace

void SetGradient(const Sketch& sketch, uint64_t elements, double scale,
                 std::string* sketch_bytes, muster_v1_StepReport* report) {
  report->nonfinite_count = sketch.nonfinite_count();
  report->elements_observed = elements;
  sketch_bytes->clear();
  // Under a scale that cannot be divided out, the norm is not known.
  if (elements > 0 && sketch.nonfinite_count() == 0 && std::isfinite(scale) &&
      scale > 0) {
    const double norm = std::sqrt(sketch.squared_norm()) / scale;
    if (std::isfinite(norm)) {
      report->has_gradient_norm = true;
      report->gradient_norm = norm;
      // A norm that the scale takes below the double range counts as 0.
      if (norm > 0) sketch.EncodeTo(sketch_bytes);
      if (IsAllZero(*sketch_bytes)) sketch_bytes->clear();
    }
  }
  report->sketch = BytesField(sketch_bytes);
}

}  // namespace muster
