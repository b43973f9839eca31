-- now, window, requests, tokens, concurrency, burst ('' where unknown), lease, tokens asked, lease time
-- Answers {1, 0, ''} or {0, microseconds to wait, what is used up}.
local now, window = clock(ARGV[1]), tonumber(ARGV[2])
local lease, need, lease_time = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])

local held = places(now)
if redis.call('ZSCORE', PLACES, lease) then
  return { 1, 0, '' }
end

local lessons = fields_of(LESSONS)
local requests_limit = present_limit(lessons, 'requests', tonumber(ARGV[3]), now, window)
local tokens_limit = present_limit(lessons, 'tokens', tonumber(ARGV[4]), now, window)
local concurrency_limit = present_limit(lessons, 'concurrency', tonumber(ARGV[5]), now, window)
local burst_limit = present_limit(lessons, 'burst', tonumber(ARGV[6]), now, window)
need = tokens_limit and math.min(need, tokens_limit) or need

local counts = fields_of(COUNTS)
local requests = window_of(counts, 'r', window, SLOTS, now)
local tokens = window_of(counts, 't', window, SLOTS, now)
local burst = window_of(counts, 'b', math.floor(window / SLOTS), FINE_SLOTS, now)

local longest, met = 0, ''
local function consider(wait, limit)
  if wait > longest then
    longest, met = wait, limit
  end
end
consider((tonumber(lessons['until']) or 0) - now, lessons['met'])
consider(wait_for(requests, now, requests_limit, 1), 'requests')
consider(wait_for(tokens, now, tokens_limit, need), 'tokens')
consider(wait_for(burst, now, burst_limit, 1), 'burst')
if concurrency_limit and held >= concurrency_limit then
  consider(POLL, 'concurrency')
end
if longest > 0 then
  return { 0, math.ceil(longest), met }
end

redis.call('HINCRBY', COUNTS, 'r' .. whole(requests.present), 1)
redis.call('HINCRBY', COUNTS, 'b' .. whole(burst.present), 1)
redis.call('HINCRBY', COUNTS, 't' .. whole(tokens.present), whole(need))
redis.call('ZADD', PLACES, whole(now + lease_time), lease)
redis.call('HSET', TOKENS, lease, whole(tokens.present) .. ' ' .. whole(need))
keep(COUNTS, 2 * window)
keep(PLACES, 2 * lease_time + window)
keep(TOKENS, 2 * lease_time + window)
return { 1, 0, '' }
