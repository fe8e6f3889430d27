// Who a source is, as bytes: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_SOURCE_CODEC_H_
#define MUSTER_DAEMON_HISTORY_SOURCE_CODEC_H_

#include "daemon/frames/report.h"
#include "daemon/history/bytes.h"

namespace muster::history {

inline void PutSketchSpec(const frames::SketchSpec& spec, ByteWriter& bytes) {
  bytes.Integer(spec.version);
  bytes.Integer(spec.width);
  bytes.Fixed(spec.seed);
}

inline frames::SketchSpec GetSketchSpec(ByteReader& bytes) {
  frames::SketchSpec spec;
  spec.version = static_cast<uint32_t>(bytes.Integer());
  spec.width = static_cast<uint32_t>(bytes.Integer());
  spec.seed = bytes.Fixed();
  return spec;
}

inline void PutSource(const frames::SourceInfo& info, ByteWriter& bytes) {
  bytes.Integer(info.rank);
  bytes.Integer(info.world_size);
  bytes.Fixed(info.incarnation);
  PutSketchSpec(info.sketch, bytes);
  bytes.Integer(info.parameter_count);
  bytes.Text(info.host);
  bytes.Integer(info.pid);
  bytes.Text(info.client_version);
}

inline frames::SourceInfo GetSource(ByteReader& bytes) {
  frames::SourceInfo info;
  info.rank = static_cast<uint32_t>(bytes.Integer());
  info.world_size = static_cast<uint32_t>(bytes.Integer());
  info.incarnation = bytes.Fixed();
  info.sketch = GetSketchSpec(bytes);
  info.parameter_count = bytes.Integer();
  info.host = bytes.Text();
  info.pid = static_cast<uint32_t>(bytes.Integer());
  info.client_version = bytes.Text();
  return info;
}

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_SOURCE_CODEC_H_
