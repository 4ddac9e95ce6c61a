// Which data folder a PostgreSQL cluster belongs to, and that only one server uses it.
#pragma once

#include "base/result.hpp"
#include "runtime/folder_lock.hpp"
#include "runtime/process_spec.hpp"

#include <filesystem>
#include <memory>
#include <optional>

namespace immortal::runtime {

// The file in a data folder that names the place of a cluster elsewhere, on its first line.
[[nodiscard]] std::filesystem::path cluster_record(const std::filesystem::path& data_folder);

// The first line of a file; empty if there is none.
[[nodiscard]] std::string first_line(const std::filesystem::path& file);

// Takes the cluster in `folder` for the server of `data_folder`, until the lock is given back. A
// cluster outside the data folder says in its file immortal.owner which data folder it belongs to;
// one that says nothing, or names a data folder that is no more (it was moved), is taken over. One
// that another server uses, or that belongs to another data folder (of which this one is a copy),
// is left alone. Precondition: the caller holds the data folder's lock. Errors: already_exists,
// unavailable: a sentence that says what was found and what to do.
[[nodiscard]] base::result<std::unique_ptr<folder_lock>>
claim_cluster(const std::filesystem::path& folder, const std::filesystem::path& data_folder,
              const std::optional<account>& owner);

} // namespace immortal::runtime
