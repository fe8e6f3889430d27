#include "daemon/sinks/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace muster::sinks {

std::string Sign(std::string_view secret, std::string_view body,
                 absl::Time now) {
  const std::string seconds = absl::StrCat(absl::ToUnixSeconds(now));
  const std::string message = absl::StrCat(seconds, ".", std::string(body));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(),
       digest, &size);
  const std::string bytes(reinterpret_cast<const char*>(digest), size);
  return absl::StrCat("t=", seconds, ",v1=", absl::BytesToHexString(bytes));
}

}  // namespace muster::sinks
