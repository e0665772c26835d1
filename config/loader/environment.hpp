// HOLDFAST_<SECTION>_<OPTION>=value: every option can be set by the environment, as containers like
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/loader/setting.hpp"

namespace holdfast::config {

// Secrets are no options: CONFIG GET would show them.
inline constexpr std::string_view kEncryptionKeyVariable = "HOLDFAST_ENCRYPTION_KEY";
inline constexpr std::string_view kClusterSecretVariable = "HOLDFAST_CLUSTER_SECRET";

struct Environment {
  std::vector<Setting> settings;
  std::string config_file;     // HOLDFAST_CONFIG
  std::string encryption_key;  // kEncryptionKeyVariable
  std::string cluster_secret;  // kClusterSecretVariable
};

std::string environment_name(const OptionRow& row);

// `variables` are "NAME=value". An unknown HOLDFAST_... name is an error: a password or a limit
// that is passed over for a typing error is worse than a server that does not start. What
// Kubernetes and docker --link set for a service that is called holdfast... (HOLDFAST_SERVICE_HOST,
// HOLDFAST_SERVER_PORT=tcp://10.0.0.1:6379 and so on) is passed over in silence.
Result<Environment> read_environment(const std::vector<std::string_view>& variables);

}  // namespace holdfast::config
