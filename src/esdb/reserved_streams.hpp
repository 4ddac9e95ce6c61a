// The streams on which the server itself relies: it reads them when it starts, or when it decides
// who may do what. What a client could write there might stop the next start or open a door, so
// this is the one rule for such writes. Pure.
//
//   $settings                                          the default access lists
//   $users, $user-<login>                              kept by the Users service
//   $persistentSubscriptionConfig...,                  kept by the groups
//   $persistentsubscription-<stream>::<group>-...
//   $scavenges, $scavenges-<id>                        kept by the scavenges
//
// and the metadata stream `$$x` of each. None of them is ever deleted or tombstoned by a client.
// `$settings` and the metadata are written by members of "$admins" when there is security, with
// content that is understood; the other streams change through their services alone.
//
// A program that serves the protocol over its own events adds the families that it keeps: to
// clients they, and their metadata, are for reading only, whoever asks.
//
// Two gates apply it: the authorizer says who, client_store says what. The services that keep the
// streams work on the store itself.
#pragma once

#include "base/result.hpp"
#include "eventlog/event.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace immortal::esdb {

constexpr std::string_view settings_stream = "$settings";
constexpr std::string_view scavenges_stream =
    "$scavenges"; // also the beginning of `$scavenges-<id>`

// Whether there are users, and so somebody who may write what is reserved.
enum class protection : std::uint8_t { open, secured };

// Streams that the program around the server keeps.
struct kept_family {
    std::string name;   // of a stream, or the beginning of names
    bool whole = false; // `name` is a whole name
    std::string_view
        instead; // a clause: what a client does instead of writing; outlives the server
};
using kept_families = std::vector<kept_family>;

// `stream`, or what it is the metadata of, belongs to one of `kept`: an error for whoever wants to
// change it. Errors: forbidden with reason "reserved_stream", the stream as `field` and a sentence.
[[nodiscard]] base::status check_kept(std::string_view stream, const kept_families& kept);

// `stream` or what it is the metadata of; not what is kept by the program.
[[nodiscard]] bool is_reserved(std::string_view stream);

// Whether a client may do this at all, whoever it is. A write without events only checks an
// expectation and is none. Errors: invalid_argument with reason "reserved_stream", the stream as
// `field` and a sentence that says what to do instead; those of check_kept().
[[nodiscard]] base::status check_client_write(const eventlog::stream_write& write, protection level,
                                              const kept_families& kept = {});

// Whether `$settings` could say this: an object of `$userStreamAcl` and `$systemStreamAcl`, each a
// list of rights as `$acl` is. Errors: invalid_argument with a sentence.
[[nodiscard]] base::status check_settings(std::string_view json);

} // namespace immortal::esdb
