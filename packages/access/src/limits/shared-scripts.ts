import { createHash } from 'node:crypto';

/**
 * Scripts that run inside Redis or Valkey, each a decision in one round trip. Time is the server's alone: replicas whose clocks differ
 * count in the same windows. All keys carry one hash tag, so that a decision has them in one place.
 *
 * A sliding window is a hash: `n` the newest slice, `t` the total, and the slices by their number modulo `SLOTS`. A calendar period is
 * a hash under a key that names the period's start: `u` what is used. `c` in either is when an operator emptied it. Concurrency is a
 * sorted set of reservations by the time their lease ends. The record of a reservation (`KEYS[1]`) is a hash from claim to what it took,
 * where and when; settling a claim removes it, so that a settlement that is sent again after a lost connection changes nothing.
 */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

const COMMON = `
local SLOTS = 61
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local stamp = clock[1] * 1000000 + clock[2]

-- Total, newest slice, and the count of that, of a window; slices that have left it are removed. A clock that was set back stays in the
-- newest slice.
local function advance(key, length)
  local slice = math.floor(now / length)
  local head = redis.call('HMGET', key, 'n', 't', slice % SLOTS)
  if not head[1] then return 0, slice, 0 end
  local newest, total = tonumber(head[1]), tonumber(head[2])
  if slice == newest then return total, newest, tonumber(head[3] or '0') end
  if slice < newest then return total, newest, tonumber(redis.call('HGET', key, newest % SLOTS) or '0') end
  if slice - newest >= SLOTS then
    redis.call('DEL', key)
    return 0, slice, 0
  end
  local gone = {}
  for at = newest + 1, slice do gone[#gone + 1] = at % SLOTS end
  local counts = redis.call('HMGET', key, unpack(gone))
  for at = 1, #gone do
    if counts[at] then total = total - tonumber(counts[at]) end
  end
  redis.call('HDEL', key, unpack(gone))
  redis.call('HSET', key, 'n', slice, 't', total)
  return total, slice, 0
end

-- Counts an amount in a slice that has a count already, of a window whose total and newest slice are known.
local function add(key, length, newest, total, slice, count, amount)
  redis.call('HSET', key, 'n', newest, 't', total + amount, slice % SLOTS, count + amount)
  redis.call('PEXPIRE', key, math.ceil(length * (SLOTS + 1)))
end

-- Milliseconds until at most target counts.
local function until_at_most(key, length, total, newest, target)
  if total <= target then return 0 end
  for age = SLOTS - 1, 0, -1 do
    local slice = newest - age
    total = total - tonumber(redis.call('HGET', key, slice % SLOTS) or '0')
    if total <= target then return math.max(0, math.ceil((slice + SLOTS) * length - now)) end
  end
  return 0
end
`;

/**
 * KEYS: record, buckets. ARGV: reservation, lease, record's lifetime, then for each claim kind (`w`, `c`, `z`), limit, least, most,
 * the slice's length or the period's start and end, and 1 where it will be settled. Returns `{1, now, used, reset, taken, ...}`, `{0, now, index, wait, used, reset, ...}`,
 * or `{2, now}` where a period given is not the current one.
 */
export const TAKE: Script = script(`${COMMON}
local state = {}
local reply = {}
for i = 2, #KEYS do
  local at = 3 + (i - 2) * 7
  local kind, limit, least, most, a, b = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local used, newest, count, wait = 0, 0, 0, 0
  if kind == 'w' then
    used, newest, count = advance(KEYS[i], a)
  elseif kind == 'c' then
    if now < a or now >= b then return {2, now} end
    used = tonumber(redis.call('HGET', KEYS[i], 'u') or '0')
  else
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    used = redis.call('ZCARD', KEYS[i])
  end
  if least > limit - used then
    if kind == 'w' then wait = until_at_most(KEYS[i], a, used, newest, limit - least)
    elseif kind == 'c' then wait = b - now
    else wait = 1000 end
    reply[#reply + 1] = used
    reply[#reply + 1] = kind == 'w' and until_at_most(KEYS[i], a, used, newest, 0) or wait
    return {0, now, i - 2, wait, unpack(reply)}
  end
  local taken = math.min(most, limit - used)
  state[i] = {kind, taken, a, b, used, newest, count}
  reply[#reply + 1] = used
  reply[#reply + 1] = kind == 'w' and math.ceil((newest + SLOTS) * a - now) or (kind == 'c' and b - now or 1000)
end
reply = {1, now}
for i = 2, #KEYS do
  local kind, taken, a, b, used, newest, count = unpack(state[i])
  local place = 0
  if kind == 'w' then
    add(KEYS[i], a, newest, used, newest, count, taken)
    place = newest
  elseif kind == 'c' then
    redis.call('HINCRBY', KEYS[i], 'u', taken)
    redis.call('PEXPIREAT', KEYS[i], b + 86400000)
  else
    redis.call('ZADD', KEYS[i], now + tonumber(ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[2]) * 2)
  end
  if ARGV[3 + (i - 2) * 7 + 7] == '1' then
    redis.call('HSET', KEYS[1], i - 2, string.format('%.0f %.0f %.0f', taken, place, stamp))
  end
  reply[#reply + 1] = used + taken
  reply[#reply + 1] = kind == 'w' and math.ceil((newest + SLOTS) * a - now) or (kind == 'c' and b - now or 1000)
  reply[#reply + 1] = taken
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return reply
`);

/** KEYS: record, buckets. ARGV: reservation, then for each bucket the claim's index, kind, slice's length or period's end, amount used. */
export const SETTLE: Script = script(`${COMMON}
for i = 2, #KEYS do
  local at = 1 + (i - 2) * 4
  local index, kind, a, used = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local held = redis.call('HGET', KEYS[1], index)
  if held then
    redis.call('HDEL', KEYS[1], index)
    local taken, place, took_at = string.match(held, '^(%d+) (%d+) (%d+)$')
    local delta = used - tonumber(taken)
    place = tonumber(place)
    -- What was taken before an operator emptied the bucket is not in it any more: what others took since must not be given back for it.
    local function is_gone(cleared)
      return cleared and tonumber(cleared) > tonumber(took_at)
    end
    if kind == 'z' then
      if used == 0 then redis.call('ZREM', KEYS[i], ARGV[1]) end
    elseif kind == 'c' then
      local kept = redis.call('HMGET', KEYS[i], 'u', 'c')
      local known = tonumber(kept[1] or '0')
      if known + delta > 0 and not is_gone(kept[2]) then
        redis.call('HSET', KEYS[i], 'u', known + delta)
        redis.call('PEXPIREAT', KEYS[i], a + 86400000)
      elseif not is_gone(kept[2]) then redis.call('HDEL', KEYS[i], 'u') end
    elseif delta ~= 0 then
      local total, newest, newest_count = advance(KEYS[i], a)
      if place > newest - SLOTS then
        local kept = redis.call('HMGET', KEYS[i], place % SLOTS, 'c')
        -- Counts that the server lost have nothing to give back either.
        local count = tonumber(kept[1] or '0')
        if count + delta < 0 then delta = -count end
        if delta ~= 0 and not is_gone(kept[2]) then add(KEYS[i], a, newest, total, place, count, delta) end
      elseif delta > 0 then
        add(KEYS[i], a, newest, total, newest, newest_count, delta)
      end
    end
  end
end
return 1
`);

/** KEYS: buckets. ARGV: for each its kind and the slice's length or the period's end. Returns used and reset of each. */
export const PEEK: Script = script(`${COMMON}
local reply = {now}
for i = 1, #KEYS do
  local kind, a = ARGV[i * 2 - 1], tonumber(ARGV[i * 2])
  local used, reset = 0, 0
  if kind == 'w' then
    local total, newest = advance(KEYS[i], a)
    used = total
    if total > 0 then reset = until_at_most(KEYS[i], a, total, newest, 0) end
  elseif kind == 'c' then
    used = tonumber(redis.call('HGET', KEYS[i], 'u') or '0')
    if used > 0 then reset = a - now end
  else
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    used = redis.call('ZCARD', KEYS[i])
    if used > 0 then reset = 1000 end
  end
  reply[#reply + 1] = used
  reply[#reply + 1] = reset
end
return reply
`);

/** KEYS: buckets other than of concurrency. ARGV: for each its kind and the slice's length or the period's end. Empties them. */
export const CLEAR: Script = script(`${COMMON}
for i = 1, #KEYS do
  local a = tonumber(ARGV[i * 2])
  redis.call('DEL', KEYS[i])
  redis.call('HSET', KEYS[i], 'c', string.format('%.0f', stamp))
  if ARGV[i * 2 - 1] == 'c' then redis.call('PEXPIREAT', KEYS[i], a + 86400000)
  else redis.call('PEXPIRE', KEYS[i], math.ceil(a * (SLOTS + 1))) end
end
return now
`);

/** KEYS: concurrency buckets. ARGV: lease, then the reservation that holds each. What runs goes on being counted. */
export const RENEW: Script = script(`${COMMON}
local lease = tonumber(ARGV[1])
for i = 1, #KEYS do
  redis.call('ZADD', KEYS[i], now + lease, ARGV[i + 1])
  redis.call('PEXPIRE', KEYS[i], lease * 2)
end
return now
`);

/** KEYS: the mark. ARGV: a fresh one. Returns the mark these counters carry: another than before says that they were lost. */
export const MARK: Script = script(`${COMMON}
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return {redis.call('GET', KEYS[1]), now}
`);
