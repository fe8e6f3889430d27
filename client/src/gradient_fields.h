// What a report says of the gradient.
#ifndef MUSTER_CLIENT_SRC_GRADIENT_FIELDS_H_
#define MUSTER_CLIENT_SRC_GRADIENT_FIELDS_H_

#include <cstdint>
#include <string>

#include "muster/sketch.h"
#include "muster/v1/telemetry.nano.h"

namespace muster {

// Sets the fields of a gradient of which `elements` were observed, and whose
// norms are divided by `scale`. `report` borrows `sketch_bytes`, which is
// overwritten.
void SetGradient(const Sketch& sketch, uint64_t elements, double scale,
                 std::string* sketch_bytes, muster_v1_StepReport* report);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_GRADIENT_FIELDS_H_
