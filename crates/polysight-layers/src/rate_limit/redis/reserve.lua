-- Reserves money of a budget's window: spent and reserved sums (a hash), and what each call has reserved (a hash).
-- limit, reservation, amount, milliseconds to keep the window ('': for good)
-- Answers {1, 0, 0}, or {0, spent, reserved} where the amount does not fit.
local SUMS, HELD = KEYS[1], KEYS[2]
local limit, reservation, amount, keep = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
if redis.call('HEXISTS', HELD, reservation) == 1 then
  return { 1, '0', '0' }
end
local spent = redis.call('HGET', SUMS, 'spent') or '0'
local reserved = redis.call('HGET', SUMS, 'reserved') or '0'
if tonumber(spent) + tonumber(reserved) + tonumber(amount) > limit then
  return { 0, spent, reserved }
end
redis.call('HINCRBY', SUMS, 'reserved', amount)
redis.call('HSET', HELD, reservation, amount)
if keep ~= '' then
  redis.call('PEXPIRE', SUMS, keep)
  redis.call('PEXPIRE', HELD, keep)
end
return { 1, '0', '0' }
