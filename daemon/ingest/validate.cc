#include "daemon/ingest/validate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace muster::ingest {
namespace {

constexpr size_t kMaxRunBytes = 128;
constexpr size_t kMaxHostBytes = 256;
constexpr size_t kMaxVersionBytes = 64;
constexpr size_t kMaxShownBytes = 40;

// Text of a sender, fit for a log line.
std::string Shown(const std::string& text) {
  const std::string head = text.substr(0, kMaxShownBytes);
  return absl::StrCat("'", absl::CHexEscape(head),
                      head.size() < text.size() ? "…'" : "'");
}

bool IsRunId(const std::string& run) {
  return !run.empty() && run.size() <= kMaxRunBytes &&
         std::all_of(run.begin(), run.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == ':' ||
                  c == '-';
         });
}

bool IsPositive(double value) { return std::isfinite(value) && value > 0; }
bool IsNonNegative(double value) { return std::isfinite(value) && value >= 0; }

// Says why `sketch` is not `width` finite half-precision numbers, not all
// zero; empty if it is.
std::string SketchFault(const std::string& sketch, uint32_t width) {
  if (sketch.size() != size_t{2} * width) {
    return absl::StrCat("sketch has ", sketch.size(), " bytes; width ", width,
                        " needs ", 2 * width);
  }
  // Four numbers at a time, whose exponents and signs are these bits: adding
  // one to an exponent that is all ones carries into the sign's place.
  constexpr uint64_t kExponents = 0x7C007C007C007C00;
  constexpr uint64_t kOnes = 0x0400040004000400;
  constexpr uint64_t kSigns = 0x8000800080008000;
  // Side by side in vectors: a width is a multiple of kMinSketchWidth.
  constexpr size_t kWords = 8;
  static_assert(size_t{2} * kMinSketchWidth % (kWords * sizeof(uint64_t)) == 0);
  uint64_t carried[kWords] = {};
  uint64_t numbers[kWords];
  for (size_t i = 0; i < sketch.size(); i += sizeof(numbers)) {
    std::memcpy(numbers, sketch.data() + i, sizeof(numbers));
    for (size_t w = 0; w < kWords; ++w) {
      carried[w] |= (numbers[w] & kExponents) + kOnes;
    }
  }
  if (std::any_of(carried, carried + kWords,
                  [](uint64_t word) { return (word & kSigns) != 0; })) {
    size_t i = 0;
    while ((sketch[2 * i + 1] & 0x7C) != 0x7C) ++i;
    return absl::StrCat("sketch number ", i, " is not finite");
  }
  // Nearly always the first word tells.
  for (size_t i = 0; i < sketch.size(); i += sizeof(numbers)) {
    std::memcpy(numbers, sketch.data() + i, sizeof(numbers));
    for (uint64_t word : numbers) {
      if ((word & ~kSigns) != 0) return "";
    }
  }
  return "sketch is all zero";
}

// The same of `width` finite binary32 numbers; empty for an empty sketch too.
std::string FloatSketchFault(const std::string& sketch, uint32_t width) {
  if (sketch.empty()) return "";
  if (sketch.size() != size_t{4} * width) {
    return absl::StrCat("sketch of parameters has ", sketch.size(),
                        " bytes; width ", width, " needs ", 4 * width);
  }
  for (size_t i = 0; i < sketch.size(); i += 4) {
    const int third = static_cast<unsigned char>(sketch[i + 2]);
    const int fourth = static_cast<unsigned char>(sketch[i + 3]);
    if ((fourth & 0x7F) == 0x7F && (third & 0x80) != 0) {
      return absl::StrCat("number ", i / 4,
                          " of a sketch of parameters is not finite");
    }
  }
  return "";
}

}  // namespace

std::variant<CheckedHello, Rejection> CheckHello(const v1::Hello& hello,
                                                 const Limits& limits) {
  if (!IsRunId(hello.run())) {
    return Rejection{v1::INVALID_RUN_ID,
                     absl::StrCat("run id ", Shown(hello.run()),
                                  " is not [A-Za-z0-9._:-]{1,128}")};
  }
  if (hello.world_size() == 0 || hello.world_size() > limits.max_world_size) {
    return Rejection{v1::INVALID_WORLD_SIZE,
                     absl::StrCat("world size ", hello.world_size(),
                                  " is outside 1 … ", limits.max_world_size)};
  }
  if (hello.rank() >= hello.world_size()) {
    return Rejection{v1::INVALID_RANK,
                     absl::StrCat("rank ", hello.rank(), " is outside 0 … ",
                                  hello.world_size() - 1)};
  }
  if (hello.incarnation() == 0) {
    return Rejection{v1::INVALID_INCARNATION, "incarnation is 0"};
  }
  const v1::SketchSpec& sketch = hello.sketch();
  if (sketch.version() != 1) {
    return Rejection{v1::INVALID_SKETCH,
                     absl::StrCat("sketch version ", sketch.version(),
                                  " is unknown; this daemon speaks 1")};
  }
  if (!std::has_single_bit(sketch.width()) ||
      sketch.width() < kMinSketchWidth || sketch.width() > kMaxSketchWidth) {
    return Rejection{v1::INVALID_SKETCH,
                     absl::StrCat("sketch width ", sketch.width(),
                                  " is not a power of two in ", kMinSketchWidth,
                                  " … ", kMaxSketchWidth)};
  }
  if (hello.host().size() > kMaxHostBytes ||
      hello.client_version().size() > kMaxVersionBytes) {
    return Rejection{
        v1::TOO_LONG,
        absl::StrCat("host has ", hello.host().size(), " bytes (at most ",
                     kMaxHostBytes, "), client version ",
                     hello.client_version().size(), " (at most ",
                     kMaxVersionBytes, ")")};
  }
  auto facts = CheckFacts(hello.facts());
  if (auto* rejection = std::get_if<Rejection>(&facts)) return *rejection;
  CheckedHello checked;
  checked.run = hello.run();
  checked.info = {
      .rank = hello.rank(),
      .world_size = hello.world_size(),
      .incarnation = hello.incarnation(),
      .sketch = {sketch.version(), sketch.width(), sketch.seed()},
      .parameter_count = hello.parameter_count(),
      .host = hello.host(),
      .pid = hello.pid(),
      .client_version = hello.client_version(),
  };
  checked.facts = std::get<0>(std::move(facts));
  return checked;
}

std::variant<std::shared_ptr<const frames::FactSet>, Rejection> CheckFacts(
    const google::protobuf::RepeatedPtrField<v1::Fact>& facts) {
  if (facts.size() > kMaxFacts) {
    return Rejection{
        v1::INVALID_FACT,
        absl::StrCat(facts.size(), " facts; at most ", kMaxFacts, " are kept")};
  }
  auto checked = std::make_shared<frames::FactSet>();
  for (const v1::Fact& fact : facts) {
    if (fact.name().empty() || fact.name().size() > kMaxFactNameBytes) {
      return Rejection{
          v1::INVALID_FACT,
          absl::StrCat("name of fact ", Shown(fact.name()), " is not 1 … ",
                       kMaxFactNameBytes, " bytes long")};
    }
    if (fact.value().size() > kMaxFactValueBytes) {
      return Rejection{v1::INVALID_FACT,
                       absl::StrCat("value of fact ", Shown(fact.name()),
                                    " has ", fact.value().size(),
                                    " bytes; at most ", kMaxFactValueBytes)};
    }
    (*checked)[fact.name()] = {fact.value(), fact.shown_only()};
  }
  return std::shared_ptr<const frames::FactSet>(std::move(checked));
}

namespace {

// The first field that cannot be taken.
std::optional<Rejection> FaultOf(const v1::StepReport& report,
                                 uint32_t sketch_width) {
  if (report.sequence() == 0) {
    return Rejection{v1::INVALID_SEQUENCE, "sequence is 0; it counts from 1"};
  }
  if (report.step() > kMaxStep) {
    return Rejection{v1::INVALID_STEP,
                     absl::StrCat("step ", report.step(), " is beyond 2^62")};
  }
  if (report.has_gradient_norm() && !IsNonNegative(report.gradient_norm())) {
    return Rejection{v1::INVALID_NORM,
                     absl::StrCat("gradient norm ", report.gradient_norm(),
                                  " is not a finite number ≥ 0")};
  }
  const bool has_norm =
      report.has_gradient_norm() && report.gradient_norm() > 0;
  if (!report.sketch().empty()) {
    std::string fault = !has_norm ? "sketch without a gradient norm"
                                  : SketchFault(report.sketch(), sketch_width);
    if (!fault.empty()) {
      return Rejection{v1::INVALID_SKETCH_BYTES, std::move(fault)};
    }
  }
  const struct {
    const char* name;
    bool present;
    double value;
    bool positive;
  } numbers[] = {
      {"weight", report.has_weight(), report.weight(), true},
      {"gradient scale", report.has_gradient_scale(), report.gradient_scale(),
       true},
      {"step duration", report.has_step_duration_seconds(),
       report.step_duration_seconds(), false},
      {"compute time", report.has_compute_seconds(), report.compute_seconds(),
       false},
      {"learning rate", report.has_learning_rate(), report.learning_rate(),
       false},
      {"local distance", report.has_local_distance(), report.local_distance(),
       false},
  };
  for (const auto& number : numbers) {
    if (!number.present) continue;
    if (number.positive ? IsPositive(number.value)
                        : IsNonNegative(number.value)) {
      continue;
    }
    return Rejection{
        v1::INVALID_VALUE,
        absl::StrCat(number.name, " ", number.value, " is not a finite number ",
                     number.positive ? "> 0" : "≥ 0")};
  }
  if (report.sample_ids_size() > kMaxSampleIds) {
    return Rejection{v1::TOO_LONG,
                     absl::StrCat(report.sample_ids_size(),
                                  " sample ids; at most ", kMaxSampleIds)};
  }
  if (report.replica_groups_size() > kMaxReplicaGroups) {
    return Rejection{
        v1::TOO_LONG,
        absl::StrCat(report.replica_groups_size(),
                     " groups of parameters; at most ", kMaxReplicaGroups)};
  }
  if (report.has_epoch() && report.epoch() > kMaxStep) {
    return Rejection{v1::INVALID_VALUE,
                     absl::StrCat("epoch ", report.epoch(), " is beyond 2^62")};
  }
  for (const std::string* sketch :
       {&report.parameter_sketch(), &report.local_sketch()}) {
    if (std::string fault = FloatSketchFault(*sketch, sketch_width);
        !fault.empty()) {
      return Rejection{v1::INVALID_SKETCH_BYTES, std::move(fault)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::variant<frames::Report, Rejection> CheckReport(v1::StepReport& report,
                                                    uint32_t rank,
                                                    uint32_t sketch_width) {
  // Made where the caller has it: a report is large.
  std::variant<frames::Report, Rejection> result;
  if (std::optional<Rejection> fault = FaultOf(report, sketch_width)) {
    result = *std::move(fault);
    return result;
  }
  auto& checked = std::get<frames::Report>(result);
  checked.rank = rank;
  checked.sequence = report.sequence();
  checked.step = report.step();
  if (report.has_loss()) checked.loss = report.loss();
  if (report.has_weight()) checked.weight = report.weight();
  if (report.has_gradient_norm()) {
    checked.gradient_norm = report.gradient_norm();
  }
  checked.sketch = std::move(*report.mutable_sketch());
  checked.nonfinite_count = report.nonfinite_count();
  checked.elements_observed = report.elements_observed();
  checked.wall_time_unix_nanos = report.wall_time_unix_nanos();
  if (report.has_step_duration_seconds()) {
    checked.step_duration_seconds = report.step_duration_seconds();
  }
  if (report.has_compute_seconds()) {
    checked.compute_seconds = report.compute_seconds();
  }
  if (report.has_learning_rate()) {
    checked.learning_rate = report.learning_rate();
  }
  if (report.has_replica_fingerprint()) {
    checked.replica_fingerprint = report.replica_fingerprint();
  }
  checked.replica_groups.assign(report.replica_groups().begin(),
                                report.replica_groups().end());
  checked.parameter_sketch = std::move(*report.mutable_parameter_sketch());
  checked.sample_ids.assign(report.sample_ids().begin(),
                            report.sample_ids().end());
  if (report.has_epoch()) checked.epoch = report.epoch();
  if (report.has_sample_limit()) checked.sample_limit = report.sample_limit();
  checked.sample_ids_are_batches = report.sample_ids_are_batches();
  checked.multiple_backward = report.multiple_backward();
  if (report.has_gradient_scale()) {
    checked.gradient_scale = report.gradient_scale();
  }
  if (report.has_zero_gradient_tensors()) {
    checked.zero_gradient_tensors = report.zero_gradient_tensors();
  }
  if (report.has_local_distance()) {
    checked.local_distance = report.local_distance();
  }
  checked.local_sketch = std::move(*report.mutable_local_sketch());
  return result;
}

std::string ReasonLabel(v1::RefusalReason reason) {
  return absl::AsciiStrToLower(v1::RefusalReason_Name(reason));
}

std::vector<std::string> ReasonLabels() {
  std::vector<std::string> labels;
  for (int value = v1::REFUSAL_REASON_UNSPECIFIED + 1;
       value <= v1::RefusalReason_MAX; ++value) {
    labels.push_back(ReasonLabel(static_cast<v1::RefusalReason>(value)));
  }
  return labels;
}

}  // namespace muster::ingest
