// Reads tests/testing/sketch_vectors.txt, which the NumPy reference writes.
#ifndef MUSTER_TESTS_CLIENT_SKETCH_VECTORS_H_
#define MUSTER_TESTS_CLIENT_SKETCH_VECTORS_H_

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "muster/sketch.h"

namespace muster::testing {

struct MixVector {
  uint64_t input, output;
};

struct ElementVector {
  uint32_t width;
  uint64_t seed, index;
  uint32_t permutation;
  uint64_t sign_word;
  uint32_t bucket;
  int sign;
};

struct HalfVector {
  uint32_t float_bits;
  uint16_t half_bits;
};

// Elements made by a formula (docs/sketch.md), results as hashes.
struct IntegerVector {
  DataType type;
  SketchSpec spec;
  uint64_t offset;
  size_t count;
  double squared_norm;
  uint64_t values_hash, wire_hash;
};

// Elements and results in full.
struct FloatVector {
  std::string name;
  DataType type;
  SketchSpec spec;
  uint64_t offset;
  double squared_norm;
  uint64_t nonfinite;
  std::vector<uint32_t> bits;
  std::vector<double> values;
};

struct SketchVectors {
  std::vector<MixVector> mix;
  std::vector<ElementVector> elements;
  std::vector<HalfVector> halves;
  std::vector<IntegerVector> integers;
  std::vector<FloatVector> floats;
};

inline DataType ParseDataType(const std::string& name) {
  return name == "float32"   ? DataType::kFloat32
         : name == "float16" ? DataType::kFloat16
                             : DataType::kBFloat16;
}

inline SketchVectors ReadSketchVectors(const std::string& path) {
  SketchVectors all;
  std::ifstream file(path);
  // Hexadecimal floats need strtod: a stream's >> does not read them.
  const auto next_double = [](std::istream& in) {
    std::string text;
    in >> text;
    return std::strtod(text.c_str(), nullptr);
  };
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream in(line);
    std::string kind, type;
    in >> kind;
    if (kind == "mix64") {
      MixVector v;
      in >> std::hex >> v.input >> v.output;
      all.mix.push_back(v);
    } else if (kind == "element") {
      ElementVector v;
      in >> v.width >> std::hex >> v.seed >> std::dec >> v.index >>
          v.permutation >> std::hex >> v.sign_word >> std::dec >> v.bucket >>
          v.sign;
      all.elements.push_back(v);
    } else if (kind == "half") {
      HalfVector v;
      in >> std::hex >> v.float_bits >> v.half_bits;
      all.halves.push_back(v);
    } else if (kind == "integers") {
      IntegerVector v;
      in >> type >> v.spec.width >> std::hex >> v.spec.seed >> std::dec >>
          v.offset >> v.count >> v.squared_norm >> std::hex >> v.values_hash >>
          v.wire_hash;
      v.type = ParseDataType(type);
      all.integers.push_back(v);
    } else if (kind == "floats") {
      FloatVector v;
      size_t count;
      in >> v.name >> type >> v.spec.width >> std::hex >> v.spec.seed >>
          std::dec >> v.offset >> count;
      v.type = ParseDataType(type);
      v.squared_norm = next_double(in);
      in >> v.nonfinite;
      v.bits.resize(count);
      for (uint32_t& bits : v.bits) file >> std::hex >> bits;
      v.values.resize(v.spec.width);
      for (double& value : v.values) value = next_double(file);
      all.floats.push_back(v);
    }
  }
  return all;
}

}  // namespace muster::testing

#endif  // MUSTER_TESTS_CLIENT_SKETCH_VECTORS_H_
