// How RocksDB is set up for the index on disk.
#pragma once

#include <cstddef>
#include <rocksdb/options.h>

namespace immortal::eventlog {

// `env` outlives the database.
[[nodiscard]] rocksdb::Options make_index_options(std::size_t cache_bytes,
                                                  std::size_t open_files_max, rocksdb::Env* env);

} // namespace immortal::eventlog
