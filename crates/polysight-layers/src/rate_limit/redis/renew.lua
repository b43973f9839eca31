-- now, lease time, leases. A lease that was lost with the server's memory is taken again: its call still runs.
local until_then, lease_time = whole(clock(ARGV[1]) + tonumber(ARGV[2])), tonumber(ARGV[2])
for i = 3, #ARGV do
  redis.call('ZADD', LEASES, until_then, ARGV[i])
end
keep(LEASES, 2 * lease_time)
redis.call('PEXPIRE', TOKENS, whole(math.ceil(2 * lease_time / 1000)))
return 0
