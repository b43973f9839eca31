-- Counts what a call cost in place of what it had reserved.
-- reservation, spent
local SUMS, HELD = KEYS[1], KEYS[2]
local held = redis.call('HGET', HELD, ARGV[1])
if not held then
  return 0
end
redis.call('HDEL', HELD, ARGV[1])
redis.call('HINCRBY', SUMS, 'reserved', '-' .. held)
redis.call('HINCRBY', SUMS, 'spent', ARGV[2])
return 0
