#include "cache/scripts.hpp"

#include "cache/entry.hpp"

namespace immortal::cache::scripts {

// The numbers in the texts below: Lua counts from 1.
static_assert(wire::generation_size == 16 && wire::identity_at == 20 && wire::identity_size == 20 &&
              wire::position_at == 40 && wire::as_of_at == 48 && wire::flags_at == 56 &&
              wire::header_size == 57);

namespace {

// Milliseconds of Redis' clock.
constexpr const char* clock_text = R"lua(
local function now_ms()
    local t = redis.call('TIME')
    return t[1] * 1000 + math.floor(t[2] / 1000)
end
)lua";

// Whether an entry without generation may be stored where `old` is. An entry of another generation
// or of another log gives way; one of a later epoch of this log does not.
constexpr const char* compare_text = R"lua(
local function text_at(key)
    local v = redis.pcall('GET', key)
    if type(v) == 'string' then return v end
    return nil
end
local function header_at(key)
    local v = redis.pcall('GETRANGE', key, 0, 56)
    if type(v) == 'string' and v ~= '' then return v end
    return nil
end
local function gives_way(old, generation, new)
    if not old or #old < 57 or string.sub(old, 1, 16) ~= generation then return true end
    if string.sub(old, 21, 36) ~= string.sub(new, 5, 20) then return true end
    local old_epoch, old_position, old_as_of = struct.unpack('>I4I8I8', string.sub(old, 37, 56))
    local epoch, position, as_of = struct.unpack('>I4I8I8', string.sub(new, 21, 40))
    if epoch ~= old_epoch then return epoch > old_epoch end
    if position ~= old_position then return position > old_position end
    return as_of >= old_as_of
end
)lua";

// The lease of a freshening process goes on only if it did not run out and nothing that Redis
// acknowledged to the process has been lost since (an older dump was loaded).
constexpr const char* lease_text = R"lua(
local function extend(process, lease, least, sequence, now)
    local generation = redis.call('GET', KEYS[1])
    local seen = redis.call('ZSCORE', KEYS[2], process)
    local stored = tonumber(redis.call('HGET', KEYS[3], process) or '-1') or -1
    if not generation or not seen or now - seen > lease or stored < least then
        return false, generation or ''
    end
    redis.call('ZADD', KEYS[2], now, process)
    redis.call('HSET', KEYS[3], process, math.max(stored, sequence))
    return true, generation
end
)lua";

std::string join(std::initializer_list<const char*> parts) {
    std::string out;
    for (const char* part : parts) {
        out += part;
    }
    return out;
}

} // namespace

std::string ticket_key(std::string_view key) {
    return std::string("ticket:{").append(key).append("}");
}

const redis::script& lookup() {
    static const redis::script text(join({clock_text, compare_text, R"lua(
local generation = text_at(KEYS[3])
if not generation or #generation ~= 16 then
    generation = ARGV[1]
    redis.call('SET', KEYS[3], generation)
end
if redis.call('ZCOUNT', KEYS[4], '-inf', '(' .. (now_ms() - tonumber(ARGV[2]))) > 0 then
    return {generation, 'overdue', false, false}
end
if ARGV[8] ~= '' and (tonumber(redis.call('HGET', KEYS[5], ARGV[8]) or '-1') or -1)
        < tonumber(ARGV[9]) then
    return {generation, 'lost', false, false}
end
local v = text_at(KEYS[1])
local after = tonumber(ARGV[4])
if v and #v >= 57 and string.sub(v, 1, 16) == generation
        and string.sub(v, 21, 40) == ARGV[3] then
    local position, as_of, flags = struct.unpack('>I8I8B', string.sub(v, 41, 57))
    if flags < 2 and (position >= after or as_of >= after) then
        local left = redis.call('PTTL', KEYS[1])
        local early = tonumber(flags == 1 and ARGV[10] or ARGV[7])
        if left >= 0 and left < early
                and redis.call('SET', KEYS[2], ARGV[5], 'NX', 'PX', ARGV[6]) then
            return {generation, '', v, ARGV[5]}
        end
        return {generation, '', v, false}
    end
end
if redis.call('SET', KEYS[2], ARGV[5], 'NX', 'PX', ARGV[6]) then
    return {generation, '', false, ARGV[5]}
end
return {generation, '', false, redis.call('GET', KEYS[2])}
)lua"}));
    return text;
}

const redis::script& fill() {
    static const redis::script text(join({compare_text, R"lua(
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('GET', KEYS[3]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[2])
if not gives_way(header_at(KEYS[1]), ARGV[2], ARGV[3]) then return -1 end
redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3], 'PX', ARGV[4])
return 1
)lua"}));
    return text;
}

const redis::script& freshen() {
    static const redis::script text(join({clock_text, compare_text, lease_text, R"lua(
local held, generation = extend(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]),
                                now_ms())
if not held then return {0, generation, 0} end
local written = 0
for i = 4, #KEYS, 2 do
    local a = 7 + (i - 4) / 2 * 3
    local old = header_at(KEYS[i])
    redis.call('DEL', KEYS[i + 1])
    if (old or ARGV[a] == 'set') and gives_way(old, generation, ARGV[a + 1]) then
        redis.call('SET', KEYS[i], generation .. ARGV[a + 1], 'PX', ARGV[a + 2])
        written = written + 1
    end
end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return {1, generation, written}
)lua"}));
    return text;
}

const redis::script& beat() {
    static const redis::script text(join({clock_text, lease_text, R"lua(
local now = now_ms()
local held, generation = extend(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), now)
if not held then return {0, generation} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - tonumber(ARGV[7])))
if redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. (now - tonumber(ARGV[2]))) == 0 then
    redis.call('PUBLISH', ARGV[5], ARGV[6])
end
return {1, generation}
)lua"}));
    return text;
}

const redis::script& renew() {
    static const redis::script text(join({clock_text, R"lua(
local now = now_ms()
redis.call('SET', KEYS[1], ARGV[1])
if redis.call('TYPE', KEYS[2]).ok ~= 'zset' then redis.call('DEL', KEYS[2]) end
if redis.call('TYPE', KEYS[3]).ok ~= 'hash' then redis.call('DEL', KEYS[3]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - tonumber(ARGV[6])))
redis.call('ZADD', KEYS[2], now, ARGV[2])
local stored = tonumber(redis.call('HGET', KEYS[3], ARGV[2]) or '0') or 0
redis.call('HSET', KEYS[3], ARGV[2], math.max(stored, tonumber(ARGV[3])))
redis.call('PUBLISH', ARGV[4], ARGV[5])
return ARGV[1]
)lua"}));
    return text;
}

const redis::script& discard() {
    static const redis::script text(R"lua(
local v = redis.pcall('GET', KEYS[1])
if type(v) ~= 'string' or string.sub(v, 1, #ARGV[1]) == ARGV[1] then
    return redis.call('UNLINK', KEYS[1])
end
return 0
)lua");
    return text;
}

} // namespace immortal::cache::scripts
