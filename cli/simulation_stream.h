// A stream of `muster simulate`, and what the daemon answers to all of them.
#ifndef MUSTER_CLI_SIMULATION_STREAM_H_
#define MUSTER_CLI_SIMULATION_STREAM_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cli/simulation.h"
#include "daemon/frames/frame.h"
#include "grpcpp/grpcpp.h"
#include "muster/v1/telemetry.grpc.pb.h"

namespace muster::cli {

// What has been acknowledged, refused and shown, over all streams of a run.
// Thread-safe; outlives the streams.
class SimulationAnswers {
 public:
  explicit SimulationAnswers(uint32_t ranks) : settled_(ranks) {}

  // By the streams. `first_rank`: of the stream, its source 1.
  void Take(const v1::ServerMessage& message, uint32_t first_rank);
  void Close();

  // By who sends: the frame goes out now.
  void Expect(const frames::Frame& frame);
  // Waits until all ranks are greeted; false if one was refused or a stream
  // ended.
  bool WaitForWelcome();
  // Waits until the daemon has settled all that is expected.
  bool WaitForSettled();
  void Fill(SimulationSummary& summary) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Step {
    Clock::time_point began;
    size_t unsettled = 0;  // reports
  };

  void Settle(uint32_t rank, uint64_t sequence);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint64_t> settled_;       // sequence, by rank
  std::map<uint64_t, Step> unsettled_;  // by sequence
  size_t welcomed_ = 0;
  uint64_t acknowledged_ = 0;
  double longest_seconds_ = 0;
  uint64_t refused_ = 0;
  std::string refusal_;
  std::set<uint64_t> alerts_;
  std::set<std::string> alert_lines_;
  bool closed_ = false;
};

// Carries some ranks of a run, as a client or a relay does; their source
// numbers begin at 1. gRPC calls the On… methods; the others belong to one
// thread, that of its owner.
class SimulationStream
    : public grpc::ClientBidiReactor<v1::ClientMessage, v1::ServerMessage> {
 public:
  // `answers` outlives it.
  SimulationStream(uint32_t first_rank, uint32_t end_rank,
                   SimulationAnswers& answers)
      : first_rank_(first_rank), end_rank_(end_rank), answers_(answers) {}

  // Everything else comes after it, and Finish last.
  void Start(const std::shared_ptr<grpc::Channel>& channel);
  // Waits while as much waits to be written as may; false once the stream has
  // ended.
  bool Write(v1::ClientMessage message);
  // Returns when the daemon has ended the stream. `all_said`: in good order,
  // after all that was written; else at once.
  grpc::Status Finish(bool all_said);

  grpc::ClientContext& context() { return context_; }
  uint32_t first_rank() const { return first_rank_; }
  uint32_t end_rank() const { return end_rank_; }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  const uint32_t first_rank_;
  const uint32_t end_rank_;
  SimulationAnswers& answers_;
  grpc::ClientContext context_;
  std::unique_ptr<v1::Telemetry::Stub> stub_;
  v1::ServerMessage incoming_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::ClientMessage> waiting_;  // the first is being written
  bool held_ = true;  // gRPC must not call OnDone: something may be started
  bool done_ = false;
  grpc::Status status_;
};

}  // namespace muster::cli

#endif  // MUSTER_CLI_SIMULATION_STREAM_H_
