-- Counts one request against every limit, or against none; by GCRA, on this server's clock.
--
-- KEYS     one per limit, and last, if calls in flight are limited, the set of them
-- ARGV[1]  how many limits there are
-- then per limit: microseconds per request, microseconds per quota
-- then of the set: most calls at once, the name of this one, microseconds until it counts as dead
--
-- Answers 0 and what each limit has left, or the number of the key that refuses and the wait.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limits = tonumber(ARGV[1])

local refused, wait = 0, 0
local arrivals, left = {}, {}
for i = 1, limits do
  local interval, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local arrival = math.max(tonumber(redis.call('GET', KEYS[i]) or now), now) + interval
  if arrival - now - period > wait then
    refused, wait = i, arrival - now - period
  end
  arrivals[i] = arrival
  left[i] = math.floor((period - (arrival - now)) / interval)
end
if refused > 0 then
  return { refused, wait }
end

local calls = KEYS[limits + 1]
if calls then
  local most, name, lease = unpack(ARGV, 2 * limits + 2)
  redis.call('ZREMRANGEBYSCORE', calls, '-inf', string.format('%.0f', now))
  if redis.call('ZCARD', calls) >= tonumber(most) then
    return { limits + 1, 0 }
  end
  redis.call('ZADD', calls, string.format('%.0f', now + lease), name)
  redis.call('PEXPIRE', calls, math.ceil(lease / 1000))
end

for i = 1, limits do
  local rest = math.ceil((arrivals[i] - now) / 1000)
  redis.call('SET', KEYS[i], string.format('%.0f', arrivals[i]), 'PX', rest)
end
return { 0, unpack(left) }
