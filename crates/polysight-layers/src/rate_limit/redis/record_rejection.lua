-- now, window, requests, tokens, concurrency ('' where unknown), the limit that was met, pause, and for each limit to cut its
-- name and the least that it is taken for
local now, window = clock(ARGV[1]), tonumber(ARGV[2])
local learned, counts = fields_of(LEARNED), fields_of(COUNTS)
local limits = {
  requests = tonumber(ARGV[3]),
  tokens = tonumber(ARGV[4]),
  concurrency = tonumber(ARGV[5]),
}
local seen = {
  requests = window_of(counts, 'r', window, now).total,
  tokens = window_of(counts, 't', window, now).total,
  concurrency = leases(now),
}

local pause_until = now + tonumber(ARGV[7])
if pause_until > (tonumber(learned['until']) or 0) then
  redis.call('HSET', LEARNED, 'until', whole(pause_until), 'scope', ARGV[6])
end

for i = 8, #ARGV, 2 do
  local name, least = ARGV[i], tonumber(ARGV[i + 1])
  local earlier = learned_of(learned, name)
  if not earlier or now - earlier.at >= math.floor(window / QUIET) then
    local present = current(earlier, now, window)
    local base = limits[name] or (present and earlier.base) or math.max(seen[name], least)
    local value = math.max(1, math.min(present or base, base) * CUT)
    local known = limits[name] and '1' or '0'
    local limit = string.format('%.6f %.6f %s %.0f', value, base, known, now)
    redis.call('HSET', LEARNED, name, limit)
  end
end
-- A climb takes at most FORGET / CLIMB steps; a pause at most two minutes.
keep(LEARNED, FORGET / CLIMB * window / STEPS + 240000000)
return 0
