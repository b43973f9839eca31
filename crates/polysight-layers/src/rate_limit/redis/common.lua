-- What every script needs. One limit is four keys: counts by slot (a hash), leases by expiry (a sorted set), where a lease's
-- tokens are counted (a hash), and the limits learned from rejections (a hash). Times are microseconds.

local COUNTS, LEASES, TOKENS, LEARNED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Redis writes large numbers with an exponent unless a format is given.
local function whole(number)
  return string.format('%.0f', number)
end

-- The server's own time, the same for every process; tests bring their own.
local function clock(given)
  if given ~= '0' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function keep(key, microseconds)
  redis.call('PEXPIRE', key, whole(math.ceil(microseconds / 1000)))
end

local function fields_of(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

-- A sliding window over the slots of one kind: requests (r) or tokens (t). Slots that no longer count are dropped, and so are those that lie ahead
-- since the server's clock was set back by more than a window.
local function window_of(counts, kind, length, now)
  local slots = SLOTS + MARGIN
  local window = { slot = math.max(1, math.ceil(length / SLOTS)), slots = slots, total = 0, used = {} }
  window.present = math.floor(now / window.slot)
  for field, count in pairs(counts) do
    if string.sub(field, 1, 1) == kind then
      local slot = tonumber(string.sub(field, 2))
      if math.abs(slot - window.present) > slots then
        redis.call('HDEL', COUNTS, field)
      else
        window.total = window.total + tonumber(count)
        table.insert(window.used, { slot, tonumber(count) })
      end
    end
  end
  table.sort(window.used, function(a, b) return a[1] < b[1] end)
  return window
end

-- How long until `need` more fit below the limit; 0: they fit now.
local function wait_for(window, now, limit, need)
  local total = window.total
  if not limit or total + need <= limit then
    return 0
  end
  for _, used in ipairs(window.used) do
    total = total - used[2]
    if total + need <= limit then
      return (used[1] + window.slots + 1) * window.slot - now
    end
  end
  return (window.slots + 1) * window.slot
end

-- How many leases are held, without those that have expired.
local function leases(now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', whole(now))) do
    redis.call('ZREM', LEASES, id)
    redis.call('HDEL', TOKENS, id)
  end
  return redis.call('ZCARD', LEASES)
end

local function learned_of(learned, dimension)
  if not learned[dimension] then
    return nil
  end
  local value, base, known, at = string.match(learned[dimension], '^(%S+) (%S+) (%S+) (%S+)$')
  return { value = tonumber(value), base = tonumber(base), known = known == '1', at = tonumber(at) }
end

-- What a learned limit has climbed to; nil: it holds no more.
local function current(limit, now, window)
  if not limit then
    return nil
  end
  local steps = math.max(0, math.floor((now - limit.at) / math.max(1, math.floor(window / STEPS))))
  local grown = limit.value + steps * CLIMB * limit.base
  if grown < (limit.known and limit.base or limit.base * FORGET) then
    return grown
  end
  return nil
end

local function current_limit(learned, dimension, limit, now, window)
  local value = current(learned_of(learned, dimension), now, window)
  if not value then
    return limit
  end
  value = math.max(1, math.floor(value))
  return limit and math.min(limit, value) or value
end
