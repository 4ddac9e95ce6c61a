#include "eventlog/index_options.hpp"

#include "base/log.hpp"
#include "eventlog/index_keys.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <string>

namespace immortal::eventlog {
namespace {

constexpr int cache_shard_bits = 2; // few threads look

class warnings final : public rocksdb::Logger {
public:
    warnings() : Logger(rocksdb::WARN_LEVEL) {}
    using Logger::Logv;
    void Logv(const char* format, va_list arguments) override {
        std::string text(512, '\0');
        // tidy-allow(banned): RocksDB gives a format and its arguments.
        const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
        text.resize(std::min(text.size() - 1, static_cast<std::size_t>(std::max(size, 0))));
        base::log_debug("eventlog", "rocksdb", {{"text", text}});
    }
};

} // namespace

rocksdb::Options make_index_options(std::size_t cache_bytes, std::size_t open_files_max,
                                    rocksdb::Env* env) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(cache_bytes, cache_shard_bits);
    table.cache_index_and_filter_blocks = true; // so that the cache bounds them
    // In pieces: those of a merged file are larger than a shard of the cache, which then would keep
    // none of them, and read megabytes for each look.
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_block_size = 16u << 10u;
    table.pin_top_level_index_and_filter = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.whole_key_filtering = false; // of prefixes only
    table.block_size = 8u << 10u;
    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    rocksdb::Options options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(index_keys::prefix_size));
    options.env = env;
    options.info_log = std::make_shared<warnings>();
    options.create_if_missing = true;
    options.paranoid_checks = true;
    options.verify_sst_unique_id_in_manifest = true;
    options.compression = rocksdb::kNoCompression; // positions are distances already
    // Checkpoints are merged by size, each event a few times only; nothing is ever overwritten, so
    // there is no space to win by merging everything.
    options.compaction_style = rocksdb::kCompactionStyleUniversal;
    options.compaction_options_universal.size_ratio = 20;
    options.compaction_options_universal.max_size_amplification_percent = 1u << 20u;
    options.level0_file_num_compaction_trigger = 6;
    options.level0_slowdown_writes_trigger = 1 << 20;
    options.level0_stop_writes_trigger = 1 << 20;
    options.target_file_size_base = 64u << 20u;
    options.max_background_jobs = 2;
    options.max_open_files = static_cast<int>(open_files_max);
    options.write_buffer_size = 64u << 10u; // nothing is ever put
    options.max_manifest_file_size = 4u << 20u;
    options.skip_stats_update_on_db_open = true;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

} // namespace immortal::eventlog
