// The sketch for over_torch_norm.py, which measures it beside PyTorch.
#include <cstddef>
#include <cstdint>

#include "muster/sketch.h"

// Returns the squared norm of float32 elements after sketching them.
extern "C" double muster_bench_sketch(const void* data, size_t count,
                                      uint32_t width) {
  muster::Sketch sketch({.width = width});
  sketch.Add(0, data, count, muster::DataType::kFloat32);
  return sketch.squared_norm();
}
