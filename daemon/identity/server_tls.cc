#include "daemon/identity/server_tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace muster::identity {
namespace {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

absl::Status Wrong(const char* key, const std::string& path,
                   const std::string& what) {
  return absl::FailedPreconditionError(
      absl::StrCat("tls.", key, " '", path, "': ", what));
}

Bio Reader(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// An enciphered key must not make OpenSSL ask on the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

std::vector<Certificate> ParseCertificates(const std::string& text) {
  std::vector<Certificate> all;
  const Bio reader = Reader(text);
  while (X509* each =
             PEM_read_bio_X509(reader.get(), nullptr, NoPassword, nullptr)) {
    all.emplace_back(each);
  }
  // The last error is the file's end, or what is no certificate.
  const auto last = ERR_peek_last_error();
  const bool ended = ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!ended) all.clear();
  return all;
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(::timegm(&parts));
}

std::string Shown(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

// What is wrong with the time of a certificate; empty if nothing is.
std::string CheckTime(const X509& certificate, absl::Time now) {
  const absl::Time from = ToTime(X509_get0_notBefore(&certificate));
  const absl::Time until = ToTime(X509_get0_notAfter(&certificate));
  if (now >= until) return absl::StrCat("expired at ", Shown(until));
  if (now < from) return absl::StrCat("not valid before ", Shown(from));
  return "";
}

constexpr char kNoCertificate[] = "not a certificate in PEM form";

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return absl::FailedPreconditionError("it is a folder");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot be read: ", std::strerror(errno)));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return absl::FailedPreconditionError("cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFileBytes) {
    return absl::FailedPreconditionError("is longer than 1 MiB");
  }
  return text;
}

absl::StatusOr<ServerTls> LoadServerTls(const TlsOptions& options,
                                        absl::Time now) {
  ServerTls tls;
  struct File {
    const char* key;
    const std::string& path;
    std::string& text;
  };
  for (const File& file :
       {File{"cert_file", options.cert_file, tls.chain},
        File{"key_file", options.key_file, tls.key},
        File{"client_ca_file", options.client_ca_file, tls.client_ca}}) {
    if (file.path.empty()) continue;
    auto text = ReadWholeFile(file.path);
    if (!text.ok()) {
      return Wrong(file.key, file.path, std::string(text.status().message()));
    }
    file.text = *std::move(text);
  }
  ERR_clear_error();
  const auto chain = ParseCertificates(tls.chain);
  if (chain.empty()) {
    return Wrong("cert_file", options.cert_file, kNoCertificate);
  }
  std::string error = CheckTime(*chain.front(), now);
  if (!error.empty()) return Wrong("cert_file", options.cert_file, error);
  tls.expires = ToTime(X509_get0_notAfter(chain.front().get()));

  const Key key(PEM_read_bio_PrivateKey(Reader(tls.key).get(), nullptr,
                                        NoPassword, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return Wrong("key_file", options.key_file,
                 "not a private key in PEM form without a password");
  }
  const bool pair = X509_check_private_key(chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  if (!pair) {
    return Wrong("key_file", options.key_file,
                 absl::StrCat("does not match the certificate in '",
                              options.cert_file, "'"));
  }
  if (options.client_ca_file.empty()) return tls;
  const auto authorities = ParseCertificates(tls.client_ca);
  if (authorities.empty()) {
    return Wrong("client_ca_file", options.client_ca_file, kNoCertificate);
  }
  // While authorities are exchanged the old one may be over.
  const bool none = std::all_of(authorities.begin(), authorities.end(),
                                [&](const Certificate& each) {
                                  error = CheckTime(*each, now);
                                  return !error.empty();
                                });
  if (none) return Wrong("client_ca_file", options.client_ca_file, error);
  return tls;
}

}  // namespace muster::identity
