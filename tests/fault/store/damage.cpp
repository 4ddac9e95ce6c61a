#include "base/random.hpp"
#include "store/closed_store.hpp"
#include "store/rungs.hpp"

#include <algorithm>
#include <filesystem>

namespace immortal::faults {
namespace {

namespace fs = std::filesystem;

class damage_run {
public:
    damage_run(const rung_settings& settings, rung_report& report)
        : settings_(settings), report_(report) {}

    // Makes one kind of damage after another until there are enough. `harm` changes the folder and
    // says what it did; empty: nothing this time.
    template <typename Harm>
    void run(Harm harm) {
        for (std::uint64_t i = 0; report_.faults < settings_.faults; ++i) {
            const std::uint64_t seed = settings_.replay.empty() ? settings_.seed * 1'000'000 + i
                                                                : std::stoull(settings_.replay);
            base::seeded_random random(seed);
            store_.put_back();
            const std::string what = harm(random);
            if (!what.empty()) {
                report_.replay = std::to_string(seed);
                const auto found = store_.examine();
                ++report_.faults;
                ++report_.counts[std::string(name_of(found.what))];
                if (found.what == damage_finding::kind::silent ||
                    found.what == damage_finding::kind::unexplained) {
                    report_.problem = what + ": " + found.detail;
                    return;
                }
            }
            if (!settings_.replay.empty()) {
                return;
            }
        }
    }

    [[nodiscard]] closed_store& store() { return store_; }

private:
    const rung_settings& settings_;
    rung_report& report_;
    closed_store store_;
};

std::string relative(closed_store& store, const fs::path& file) {
    return fs::relative(file, store.folder()).string();
}

// The beginnings of the frames in a segment, and its end; written by hand from
// docs/eventlog-format.md.
std::vector<std::size_t> boundaries(const std::string& bytes) {
    std::vector<std::size_t> out;
    std::size_t at = 256;
    while (at + 64 <= bytes.size()) {
        out.push_back(at);
        std::size_t length = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 8 + i]))
                      << (8 * i);
        }
        if (length == 0) {
            break; // a scavenged segment is not laid out like that
        }
        at += length;
    }
    return out;
}

std::string cut(closed_store& store, base::random_source& random, const fs::path& file) {
    const std::string bytes = read_file(file);
    if (!file.filename().string().starts_with("segment-")) {
        return {};
    }
    const auto places = boundaries(bytes);
    const std::size_t to = places[random.next() % places.size()];
    write_file(file, bytes.substr(0, to));
    return "cut on a record boundary, " + relative(store, file) + " at " + std::to_string(to);
}

std::string copy_chunk(closed_store& store, base::random_source& random, const fs::path& file) {
    std::string bytes = read_file(file);
    const auto files = store.files();
    const std::string from = read_file(files[random.next() % files.size()]);
    if (from.size() < 64 || bytes.size() < 64) {
        return {};
    }
    const std::size_t size =
        1 + random.next() % std::min<std::size_t>({from.size(), bytes.size(), 2048});
    const std::size_t at = random.next() % (bytes.size() - size + 1);
    const std::string chunk = from.substr(random.next() % (from.size() - size + 1), size);
    if (bytes.compare(at, size, chunk) == 0) {
        return {};
    }
    bytes.replace(at, size, chunk);
    write_file(file, bytes);
    return "a chunk of another place written into " + relative(store, file) + " at " +
           std::to_string(at);
}

std::string misplace(closed_store& store, base::random_source& random) {
    const auto files = store.files();
    const fs::path file = files[random.next() % files.size()];
    switch (random.next() % 6) {
    case 0:
        return cut(store, random, file);
    case 1:
        fs::remove(file);
        return "deleted " + relative(store, file);
    case 2:
        write_file(file, "");
        return "emptied " + relative(store, file);
    case 3: {
        const auto older = store.older_copy(file, random.next());
        if (!older || *older == read_file(file)) {
            return {};
        }
        write_file(file, *older);
        return "an older copy of " + relative(store, file);
    }
    case 4: {
        const fs::path other = files[random.next() % files.size()];
        const std::string bytes = read_file(other);
        if (bytes == read_file(file)) {
            return {};
        }
        write_file(file, bytes);
        return relative(store, other) + " copied over " + relative(store, file);
    }
    default:
        return copy_chunk(store, random, file);
    }
}

} // namespace

rung_report bit_flips(const rung_settings& settings) {
    rung_report report;
    damage_run run(settings, report);
    run.run([&](base::random_source& random) -> std::string {
        const auto files = run.store().files();
        const fs::path file = files[random.next() % files.size()];
        std::string bytes = read_file(file);
        if (bytes.empty()) {
            return {};
        }
        const std::size_t at = random.next() % bytes.size();
        const unsigned bit = static_cast<unsigned>(random.next() % 8);
        bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1u << bit));
        write_file(file, bytes);
        return "bit " + std::to_string(bit) + " of byte " + std::to_string(at) + " of " +
               relative(run.store(), file) + " flipped";
    });
    return report;
}

rung_report misplaced_files(const rung_settings& settings) {
    rung_report report;
    damage_run run(settings, report);
    run.run([&](base::random_source& random) { return misplace(run.store(), random); });
    return report;
}

} // namespace immortal::faults
