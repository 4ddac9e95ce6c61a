#include "eventlog/backup.hpp"
#include "eventlog/backup_pieces.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace immortal::eventlog {

using base::errc;
using base::fail;

backup_place backup_entry::place() const {
    return manifest
               ? manifest->place()
               : backup_place::parse(name).value_or(backup_place{.line = 0, .epoch = 0, .end = {}});
}

base::result<std::vector<backup_entry>> list_backups(backup_target& target) {
    const auto manifests = target.list("manifests");
    // After the manifests: a backup that ends meanwhile has stored its pieces before its manifest.
    const auto present = manifests ? list_pieces(target) : base::result<piece_sizes>();
    if (!manifests || !present) {
        return fail(manifests ? present.error() : manifests.error());
    }
    std::vector<backup_entry> out;
    for (const auto& blob : *manifests) {
        auto manifest = read_manifest(target, blob.name);
        if (!manifest && manifest.error().code == errc::not_found) {
            continue; // removed meanwhile
        }
        if (!manifest && manifest.error().code != errc::corrupt &&
            manifest.error().code != errc::invalid_argument) {
            return fail(std::move(manifest.error()));
        }
        auto pieces = manifest ? check_presence(*manifest, *present) : base::status{};
        out.push_back(
            {blob.name.substr(blob.name.find('/') + 1), std::move(manifest), std::move(pieces)});
    }
    std::ranges::sort(out, {}, [](const backup_entry& entry) {
        return std::pair(entry.place(), std::string_view(entry.name));
    });
    return out;
}

} // namespace immortal::eventlog
