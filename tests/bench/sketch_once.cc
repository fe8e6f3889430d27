// Sketches N float32 elements once with AVX2: what instructions.sh counts.
//   sketch_once N
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "hwy/highway.h"
#include "muster/sketch.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: sketch_once N\n");
    return 2;
  }
  const std::vector<float> ones(std::strtoul(argv[1], nullptr, 10), 1.0f);
#if HWY_ARCH_X86
  hwy::SetSupportedTargetsForTest(HWY_AVX2);
#endif
  muster::Sketch sketch(muster::SketchSpec{});
  sketch.Add(0, ones.data(), ones.size(), muster::DataType::kFloat32);
  return sketch.squared_norm() == static_cast<double>(ones.size()) ? 0 : 1;
}
