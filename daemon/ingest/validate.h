// Checks every field of what a sender says, and turns it into plain values.
// Senders are never trusted.
#ifndef MUSTER_DAEMON_INGEST_VALIDATE_H_
#define MUSTER_DAEMON_INGEST_VALIDATE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/frames/report.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::ingest {

struct Limits {
  // Streams that one address may have open.
  int max_streams_per_peer = 4096;
  // Largest world size that a rank may state; the wire allows 2³² − 1.
  uint32_t max_world_size = 16384;
  // Sources that one stream may carry.
  int max_sources_per_stream = 4096;
};

// Bounds of the contract (design, section 4), the same for everyone.
inline constexpr size_t kMaxMessageBytes = size_t{1} << 20;
inline constexpr int kMaxFacts = 64;
inline constexpr size_t kMaxFactNameBytes = 64;
inline constexpr size_t kMaxFactValueBytes = 256;
inline constexpr int kMaxSampleIds = 4096;
inline constexpr int kMaxReplicaGroups = 32;
inline constexpr uint64_t kMaxStep = uint64_t{1} << 62;
inline constexpr uint32_t kMinSketchWidth = 64;
inline constexpr uint32_t kMaxSketchWidth = 65536;

// Why something was not taken; the detail names field, value and range.
struct Rejection {
  v1::RefusalReason reason = v1::REFUSAL_REASON_UNSPECIFIED;
  std::string detail;
};

struct CheckedHello {
  std::string run;
  frames::SourceInfo info;
  std::shared_ptr<const frames::FactSet> facts;
};

std::variant<CheckedHello, Rejection> CheckHello(const v1::Hello& hello,
                                                 const Limits& limits);

std::variant<std::shared_ptr<const frames::FactSet>, Rejection> CheckFacts(
    const google::protobuf::RepeatedPtrField<v1::Fact>& facts);

// `sketch_width` is what the source's Hello stated. Takes the report's bytes.
// The result's `facts` are null.
std::variant<frames::Report, Rejection> CheckReport(v1::StepReport& report,
                                                    uint32_t rank,
                                                    uint32_t sketch_width);

// The reason as a metric label: "invalid_norm".
std::string ReasonLabel(v1::RefusalReason reason);
// The labels of all reasons.
std::vector<std::string> ReasonLabels();

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_VALIDATE_H_
