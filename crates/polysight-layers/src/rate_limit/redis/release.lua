-- now, window, lease, used ('': what was reserved stays counted)
local now, window, lease, used = clock(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local found = redis.call('HGET', TOKENS, lease)
redis.call('ZREM', LEASES, lease)
redis.call('HDEL', TOKENS, lease)
if not found or not used then
  return 0
end
local slot, reserved = string.match(found, '^(%S+) (%S+)$')
local more = used - tonumber(reserved)
if more > 0 then
  local present = math.floor(now / math.max(1, math.ceil(window / SLOTS)))
  redis.call('HINCRBY', COUNTS, 't' .. whole(present), whole(more))
  keep(COUNTS, 2 * window)
elseif redis.call('HEXISTS', COUNTS, 't' .. slot) == 1 then
  redis.call('HINCRBY', COUNTS, 't' .. slot, whole(more))
end
return 0
