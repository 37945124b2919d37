-- Says that a call is still in flight, on this server's clock; also after the set was lost.
-- KEYS[1]  the calls in flight; ARGV: the name of this one, microseconds until it counts as dead
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] / 1000))
