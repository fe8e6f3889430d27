// Short words for what the daemon answers, the same in all tables.
#ifndef MUSTER_CLI_WORDS_H_
#define MUSTER_CLI_WORDS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "cli/table.h"
#include "muster/v1/query.pb.h"

namespace muster::cli {

// A presence-checked number of a message: MUSTER_NUMBER(step, loss_mean).
#define MUSTER_NUMBER(message, field)                                       \
  Number((message).has_##field() ? std::optional<double>((message).field()) \
                                 : std::nullopt)

// "1 alert", "2 alerts".
std::string Count(uint64_t count, const std::string& noun);

// "0s", "12s", "3m12s", "5h3m": two units at most.
std::string Age(int64_t unix_nanos, absl::Time now);

// "0-3,5,7-8"; ascending ranks.
std::string RankList(const google::protobuf::RepeatedField<uint32_t>& ranks);

// "the run", "rank 3", "ranks 0-3".
std::string WhoOf(const v1::Alert& alert);
// "412" or "412-430".
std::string StepsOf(const v1::Alert& alert);
// In lower case; severity "-" where there is none.
std::string StateOf(const v1::Run& run);
std::string StateOf(const v1::Alert& alert);
std::string SeverityOf(const v1::Alert& alert);

// "7/8": ranks in the frame of those expected.
std::string StepRanks(const v1::Step& step);
// "connected", "lost" or "left".
std::string RankState(const v1::Rank& rank);

}  // namespace muster::cli

#endif  // MUSTER_CLI_WORDS_H_
