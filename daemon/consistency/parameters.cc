#include "daemon/consistency/parameters.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/consistency/directions.h"

namespace muster::consistency {
namespace {

using frames::Frame;
using frames::Report;
using Vector = std::vector<double>;

Vector DecodeFloats(std::string_view sketch) {
  Vector vector(sketch.size() / 4);
  for (size_t j = 0; j < vector.size(); ++j) {
    uint32_t bits = 0;
    for (size_t byte = 0; byte < 4; ++byte) {
      bits |= uint32_t{static_cast<unsigned char>(sketch[4 * j + byte])}
              << (8 * byte);
    }
    vector[j] = std::bit_cast<float>(bits);
  }
  return vector;
}

// Sketches of one kind in a frame.
struct Sketches {
  std::vector<size_t> indices;  // into the frame's reports
  std::vector<Vector> vectors;

  size_t count() const { return indices.size(); }
};

Sketches Decode(const Frame& frame, std::string Report::*sketch) {
  Sketches sketches;
  for (size_t i = 0; i < frame.reports.size(); ++i) {
    const std::string& bytes = frame.reports[i].*sketch;
    if (bytes.empty()) continue;
    Vector vector = DecodeFloats(bytes);
    // Ingest refuses a second width in a run.
    if (sketches.count() > 0 && vector.size() != sketches.vectors[0].size()) {
      continue;
    }
    sketches.indices.push_back(i);
    sketches.vectors.push_back(std::move(vector));
  }
  return sketches;
}

// Mean of the vectors that `included` names; requires one.
Vector Mean(const std::vector<Vector>& vectors,
            const std::vector<size_t>& included) {
  Vector mean(vectors[included[0]].size());
  for (size_t i : included) {
    for (size_t j = 0; j < mean.size(); ++j) mean[j] += vectors[i][j];
  }
  for (double& value : mean) value /= static_cast<double>(included.size());
  return mean;
}

double SquaredDistance(const Vector& a, const Vector& b) {
  double square = 0;
  for (size_t j = 0; j < a.size(); ++j) {
    square += (a[j] - b[j]) * (a[j] - b[j]);
  }
  return square;
}

std::vector<size_t> All(size_t count) {
  std::vector<size_t> all(count);
  for (size_t i = 0; i < count; ++i) all[i] = i;
  return all;
}

// √ of the mean of ‖x_i − x̄‖².
double SpreadAround(const std::vector<Vector>& vectors, const Vector& mean) {
  double squares = 0;
  for (const Vector& vector : vectors) squares += SquaredDistance(vector, mean);
  return std::sqrt(squares / static_cast<double>(vectors.size()));
}

// The fingerprint that more ranks have than any other, and at least two.
std::optional<uint64_t> MajorityOf(const std::map<uint64_t, size_t>& counts) {
  std::optional<uint64_t> majority;
  size_t most = 1;
  for (const auto& [value, count] : counts) {
    if (count > most) {
      majority = value;
      most = count;
    } else if (count == most) {
      majority.reset();
    }
  }
  return majority;
}

void CompareGroups(const Frame& frame, Measures& measures) {
  std::vector<std::optional<uint64_t>> first;
  std::vector<bool> differs;
  for (const Report& report : frame.reports) {
    const auto& groups = report.replica_groups;
    if (groups.size() > first.size()) {
      first.resize(groups.size());
      differs.resize(groups.size());
    }
    for (size_t g = 0; g < groups.size(); ++g) {
      if (!first[g]) first[g] = groups[g];
      if (*first[g] != groups[g]) differs[g] = true;
    }
  }
  for (size_t g = 0; g < differs.size(); ++g) {
    if (differs[g]) measures.replica_groups.push_back(g);
  }
}

}  // namespace

void MeasureReplicas(const Frame& frame, Measures& measures) {
  std::map<uint64_t, size_t> counts;
  for (const Report& report : frame.reports) {
    if (!report.replica_fingerprint) continue;
    ++counts[*report.replica_fingerprint];
    ++measures.replica_ranks;
  }
  measures.replica_values = static_cast<uint32_t>(counts.size());
  const std::optional<uint64_t> majority = MajorityOf(counts);
  measures.replica_majority = majority.has_value();
  if (counts.size() > 1) {
    for (size_t i = 0; i < frame.reports.size(); ++i) {
      const auto& fingerprint = frame.reports[i].replica_fingerprint;
      measures.ranks[i].replica_differs =
          fingerprint && (!majority || *fingerprint != *majority);
    }
    CompareGroups(frame, measures);
  }

  const Sketches sketches = Decode(frame, &Report::parameter_sketch);
  if (sketches.count() < 2) return;
  const Vector mean = Mean(sketches.vectors, All(sketches.count()));
  const double length = std::sqrt(Dot(mean, mean));
  if (length > 0) {
    measures.replica_spread = SpreadAround(sketches.vectors, mean) / length;
  }
  std::vector<size_t> agreeing;
  for (size_t i = 0; majority && i < sketches.count(); ++i) {
    if (!measures.ranks[sketches.indices[i]].replica_differs) {
      agreeing.push_back(i);
    }
  }
  const Vector reference =
      agreeing.empty() ? mean : Mean(sketches.vectors, agreeing);
  const double reference_length = std::sqrt(Dot(reference, reference));
  if (reference_length == 0) return;
  for (size_t i = 0; i < sketches.count(); ++i) {
    measures.ranks[sketches.indices[i]].replica_distance =
        std::sqrt(SquaredDistance(sketches.vectors[i], reference)) /
        reference_length;
  }
}

void MeasureLocalUpdates(const Frame& frame, Measures& measures) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < frame.reports.size(); ++i) {
    measures.ranks[i].local_distance = frame.reports[i].local_distance;
    if (!frame.reports[i].local_distance) continue;
    sum += *frame.reports[i].local_distance;
    ++count;
  }
  if (count > 0 && std::isfinite(sum))
    measures.local_distance_mean = sum / count;

  const Sketches sketches = Decode(frame, &Report::local_sketch);
  if (sketches.count() < 2) return;
  const Vector mean = Mean(sketches.vectors, All(sketches.count()));
  measures.consensus_distance = SpreadAround(sketches.vectors, mean);
  measures.consensus_error = *measures.consensus_distance /
                             std::sqrt(2.0 * static_cast<double>(mean.size()));
}

}  // namespace muster::consistency
