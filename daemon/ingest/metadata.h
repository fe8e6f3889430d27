// What both ends of a stream say in its metadata.
#ifndef MUSTER_DAEMON_INGEST_METADATA_H_
#define MUSTER_DAEMON_INGEST_METADATA_H_

namespace muster::ingest {

// Major version of the wire contract. Both ends state theirs; an end that
// states none speaks 1.
inline constexpr int kProtocol = 1;
inline constexpr char kProtocolKey[] = "muster-protocol";
// The ids of relays that a stream has passed, one entry for each.
inline constexpr char kViaKey[] = "muster-via";

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_METADATA_H_
