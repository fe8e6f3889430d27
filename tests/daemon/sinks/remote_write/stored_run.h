// A run in a history, for tests of what is read from there.
#ifndef MUSTER_TESTS_DAEMON_SINKS_REMOTE_WRITE_STORED_RUN_H_
#define MUSTER_TESTS_DAEMON_SINKS_REMOTE_WRITE_STORED_RUN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "daemon/history/writer.h"
#include "gtest/gtest.h"
#include "tests/daemon/history/samples.h"

namespace muster::testing {

inline constexpr absl::Time kRunBegan = absl::FromUnixSeconds(1'700'000'000);

inline std::unique_ptr<history::Writer> OpenHistory(const std::string& path) {
  auto writer = history::Writer::Open(
      path, {}, [] { return kRunBegan; },
      [](bool, const std::string& line) { ADD_FAILURE() << line; });
  EXPECT_TRUE(writer.ok()) << writer.status();
  return *std::move(writer);
}

// Steps 1 … `steps`, each at its own position and a second after the one
// before, with an event between the second and the third; then the end of the
// run, if it has `ended`. Stored when this returns.
inline int64_t StoreRun(history::Writer& writer, const std::string& name,
                        uint64_t steps, bool ended,
                        absl::Time began = kRunBegan) {
  history::Unit unit{.run = writer.Begin(name, "", began)};
  uint64_t position = 0;
  const auto add = [&](history::Body body) {
    ++position;
    unit.entries.push_back(
        {position, began + absl::Seconds(position), std::move(body)});
  };
  for (uint64_t step = 1; step <= steps; ++step) {
    if (step == 3) add(history::Ticks{{{absl::Seconds(2), began}}});
    add(history::SampleFrame(step));
  }
  if (ended) add(frames::RunEnded{});
  unit.checkpoint = history::SampleCheckpoint(position + 1);
  writer.Write(unit);
  EXPECT_TRUE(writer.Flush().ok());
  return unit.run;
}

}  // namespace muster::testing

#endif  // MUSTER_TESTS_DAEMON_SINKS_REMOTE_WRITE_STORED_RUN_H_
