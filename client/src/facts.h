// Limits of the wire contract on facts.
#ifndef MUSTER_CLIENT_SRC_FACTS_H_
#define MUSTER_CLIENT_SRC_FACTS_H_

#include <string>

#include "muster/client.h"

namespace muster {

inline constexpr size_t kMaxFacts = 64;
inline constexpr size_t kMaxFactNameBytes = 64;
inline constexpr size_t kMaxFactValueBytes = 256;

// Empty if all are within their limits and UTF-8 without NUL, else one line
// that names the fact and what is allowed. Text that is not UTF-8 would cost
// the whole message: the daemon could not parse it.
std::string ValidateFacts(const Facts& facts);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_FACTS_H_
