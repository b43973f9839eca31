-- What every script needs. One meter is four keys: counts by slot (a hash), places by expiry (a sorted set), where a place's
-- tokens are counted (a hash), and what refusals taught (a hash). Times are microseconds.

local COUNTS, PLACES, TOKENS, LESSONS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Redis writes large numbers with an exponent unless told otherwise.
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

-- A sliding window over the slots of one kind. Slots that no longer count are dropped, and so are those that lie ahead
-- since the server's clock was set back by more than a window.
local function window_of(counts, kind, length, slots, now)
  local slot_length = math.max(1, math.ceil(length / slots))
  slots = slots + MARGIN
  local window = { slot = slot_length, slots = slots, total = 0, used = {} }
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

-- How many places are held, without those that nobody has kept alive.
local function places(now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', PLACES, '-inf', whole(now))) do
    redis.call('ZREM', PLACES, id)
    redis.call('HDEL', TOKENS, id)
  end
  return redis.call('ZCARD', PLACES)
end

local function lesson_of(lessons, dimension)
  if not lessons[dimension] then
    return nil
  end
  local value, base, known, at = string.match(lessons[dimension], '^(%S+) (%S+) (%S+) (%S+)$')
  return { value = tonumber(value), base = tonumber(base), known = known == '1', at = tonumber(at) }
end

-- What a lesson still holds the limit down to; nil: nothing any more.
local function learnt(lesson, now, window)
  if not lesson then
    return nil
  end
  local steps = math.max(0, math.floor((now - lesson.at) / math.max(1, math.floor(window / STEPS))))
  local grown = lesson.value + steps * CLIMB * lesson.base
  if grown < (lesson.known and lesson.base or lesson.base * FORGET) then
    return grown
  end
  return nil
end

local function present_limit(lessons, dimension, limit, now, window)
  local value = learnt(lesson_of(lessons, dimension), now, window)
  if not value then
    return limit
  end
  value = math.max(1, math.floor(value))
  return limit and math.min(limit, value) or value
end
