-- now, window, requests, tokens, concurrency, burst ('' where unknown), what was met, pause, and for each limit to cut its
-- name and the least that it is taken for
local now, window = clock(ARGV[1]), tonumber(ARGV[2])
local lessons, counts = fields_of(LESSONS), fields_of(COUNTS)
local limits = {
  requests = tonumber(ARGV[3]),
  tokens = tonumber(ARGV[4]),
  concurrency = tonumber(ARGV[5]),
  burst = tonumber(ARGV[6]),
}
local seen = {
  requests = window_of(counts, 'r', window, SLOTS, now).total,
  tokens = window_of(counts, 't', window, SLOTS, now).total,
  concurrency = places(now),
  burst = window_of(counts, 'b', math.floor(window / SLOTS), FINE_SLOTS, now).total,
}

local pause_until = now + tonumber(ARGV[8])
if pause_until > (tonumber(lessons['until']) or 0) then
  redis.call('HSET', LESSONS, 'until', whole(pause_until), 'met', ARGV[7])
end

for i = 9, #ARGV, 2 do
  local name, least = ARGV[i], tonumber(ARGV[i + 1])
  local earlier = lesson_of(lessons, name)
  if not earlier or now - earlier.at >= math.floor(window / QUIET) then
    local present = learnt(earlier, now, window)
    local base = limits[name] or (present and earlier.base) or math.max(seen[name], least)
    local value = math.max(1, math.min(present or base, base) * CUT)
    local known = limits[name] and '1' or '0'
    local lesson = string.format('%.6f %.6f %s %.0f', value, base, known, now)
    redis.call('HSET', LESSONS, name, lesson)
  end
end
-- A climb takes at most FORGET / CLIMB steps; a pause at most two minutes.
keep(LESSONS, FORGET / CLIMB * window / STEPS + 240000000)
return 0
