-- now, window, requests, tokens, concurrency ('' where unknown), lease, tokens to reserve, lease time
-- Answers {1, 0, ''} or {0, microseconds to wait, what is used up}.
local now, window = clock(ARGV[1]), tonumber(ARGV[2])
local lease, need, lease_time = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])

local held = leases(now)
if redis.call('ZSCORE', LEASES, lease) then
  return { 1, 0, '' }
end

local learned = fields_of(LEARNED)
local requests_limit = current_limit(learned, 'requests', tonumber(ARGV[3]), now, window)
local tokens_limit = current_limit(learned, 'tokens', tonumber(ARGV[4]), now, window)
local concurrency_limit = current_limit(learned, 'concurrency', tonumber(ARGV[5]), now, window)
need = tokens_limit and math.min(need, tokens_limit) or need

local counts = fields_of(COUNTS)
local requests = window_of(counts, 'r', window, now)
local tokens = window_of(counts, 't', window, now)

local longest, scope = 0, ''
local function consider(wait, limit)
  if wait > longest then
    longest, scope = wait, limit
  end
end
consider((tonumber(learned['until']) or 0) - now, learned['scope'])
consider(wait_for(requests, now, requests_limit, 1), 'requests')
consider(wait_for(tokens, now, tokens_limit, need), 'tokens')
if concurrency_limit and held >= concurrency_limit then
  consider(POLL, 'concurrency')
end
if longest > 0 then
  return { 0, math.ceil(longest), scope }
end

redis.call('HINCRBY', COUNTS, 'r' .. whole(requests.present), 1)
redis.call('HINCRBY', COUNTS, 't' .. whole(tokens.present), whole(need))
redis.call('ZADD', LEASES, whole(now + lease_time), lease)
redis.call('HSET', TOKENS, lease, whole(tokens.present) .. ' ' .. whole(need))
keep(COUNTS, 2 * window)
keep(LEASES, 2 * lease_time + window)
keep(TOKENS, 2 * lease_time + window)
return { 1, 0, '' }
