#include "cache/leaderboard_scripts.hpp"

#include <string>

namespace immortal::cache::scripts {

namespace {

// Applies one change, unless a later one of the same player is there already.
const std::string apply_text = R"lua(
local function apply(set, players, i)
    local id, complement, score, inverted = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local old = redis.call('HGET', players, id)
    if old then
        if struct.unpack('>I8', inverted) >= struct.unpack('>I8', string.sub(old, 2)) then
            return
        end
        if string.sub(old, 1, 1) == '+' then
            redis.call('ZREM', set, string.sub(old, 2) .. complement)
        end
    end
    if score == '-' then
        redis.call('HSET', players, id, '-' .. inverted)
    else
        redis.call('HSET', players, id, '+' .. inverted)
        redis.call('ZADD', set, score, inverted .. complement)
    end
end
)lua";

const std::string trust_text = R"lua(
local function as_of(set, meta, fresheners, identity, after, lanes, lease)
    if redis.call('HGET', meta, 'identity') ~= identity then return nil end
    local t = redis.call('TIME')
    local now = t[1] * 1000 + math.floor(t[2] / 1000)
    if redis.call('ZCOUNT', fresheners, '-inf', '(' .. (now - lease)) > 0 then return nil end
    local least = nil
    for lane = 0, lanes - 1 do
        local p = tonumber(redis.call('HGET', meta, 'p' .. lane) or '-1')
        if not least or p < least then least = p end
    end
    if least < 0 or least < after then return nil end
    return string.format('%.0f', least)
end
local until_now = as_of(KEYS[1], KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]),
                        tonumber(ARGV[4]))
if not until_now then return {'behind'} end
)lua";

} // namespace

const redis::script& board_update() {
    static const redis::script text(apply_text + R"lua(
local from, to, lanes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local first = 5 + lanes
local function advance(meta)
    for lane = 5, 4 + lanes do
        local field = 'p' .. ARGV[lane]
        local p = tonumber(redis.call('HGET', meta, field) or '-1')
        if to > p then redis.call('HSET', meta, field, ARGV[3]) end
    end
end
if redis.call('HGET', KEYS[6], 'identity') == ARGV[1] then
    for lane = 5, 4 + lanes do
        redis.call('HSETNX', KEYS[6], 'f' .. ARGV[lane], ARGV[2])
        local p = tonumber(redis.call('HGET', KEYS[6], 'p' .. ARGV[lane]) or ARGV[2])
        if p < from then redis.call('HSET', KEYS[6], 'gap', '1') end
    end
    for i = first, #ARGV, 4 do apply(KEYS[4], KEYS[5], i) end
    advance(KEYS[6])
end
local joins = redis.call('HGET', KEYS[3], 'identity') == ARGV[1]
for lane = 5, 4 + lanes do
    local p = tonumber(redis.call('HGET', KEYS[3], 'p' .. ARGV[lane]) or '-1')
    joins = joins and p >= from
end
if not joins then
    redis.call('DEL', KEYS[3])
    return 0
end
for i = first, #ARGV, 4 do apply(KEYS[1], KEYS[2], i) end
advance(KEYS[3])
return 1
)lua");
    return text;
}

const redis::script& board_begin() {
    static const redis::script text(R"lua(
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[3], 'identity', ARGV[1], 'generation', ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[3])
return 1
)lua");
    return text;
}

const redis::script& board_load() {
    static const redis::script text(apply_text + R"lua(
if redis.call('HGET', KEYS[3], 'generation') ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 4 do apply(KEYS[1], KEYS[2], i) end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[2]) end
return 1
)lua");
    return text;
}

const redis::script& board_finish() {
    static const redis::script text(R"lua(
local meta = KEYS[6]
if redis.call('HGET', meta, 'generation') ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', meta, 'gap') == 1 then return 0 end
local positions = {}
for i = 2, #ARGV do
    local lane = tostring(i - 2)
    local p = tonumber(ARGV[i])
    local first = tonumber(redis.call('HGET', meta, 'f' .. lane) or '-1')
    if first > p then return 0 end
    local reached = redis.call('HGET', meta, 'p' .. lane)
    if reached and tonumber(reached) > p then
        positions[lane] = reached
    else
        positions[lane] = ARGV[i]
    end
end
local identity = redis.call('HGET', meta, 'identity')
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
for i = 1, 2 do
    if redis.call('EXISTS', KEYS[i + 3]) == 1 then
        redis.call('RENAME', KEYS[i + 3], KEYS[i])
        redis.call('PERSIST', KEYS[i])
    end
end
redis.call('HSET', KEYS[3], 'identity', identity, 'generation', ARGV[1])
for lane, p in pairs(positions) do redis.call('HSET', KEYS[3], 'p' .. lane, p) end
redis.call('DEL', meta)
return 1
)lua");
    return text;
}

const redis::script& board_top() {
    static const redis::script text(trust_text + R"lua(
return {'ok', until_now, redis.call('ZCARD', KEYS[1]),
        redis.call('ZREVRANGE', KEYS[1], ARGV[5], ARGV[6], 'WITHSCORES')}
)lua");
    return text;
}

const redis::script& board_rank() {
    static const redis::script text(trust_text + R"lua(
local total = redis.call('ZCARD', KEYS[1])
local place = redis.call('HGET', KEYS[4], ARGV[5])
if not place or string.sub(place, 1, 1) ~= '+' then return {'ok', until_now, total, false} end
local member = string.sub(place, 2) .. ARGV[6]
local rank = redis.call('ZREVRANK', KEYS[1], member)
if not rank then return {'behind'} end
return {'ok', until_now, total, rank, redis.call('ZSCORE', KEYS[1], member), string.sub(place, 2)}
)lua");
    return text;
}

const redis::script& board_verify() {
    static const redis::script text(R"lua(
for i = 1, #ARGV do
    local p = tonumber(redis.call('HGET', KEYS[1], 'p' .. (i - 1)) or '-1')
    if p < tonumber(ARGV[i]) then return redis.call('DEL', KEYS[1]) end
end
return 0
)lua");
    return text;
}

} // namespace immortal::cache::scripts
