-- What is due by the server's clock, how long until the next one, the group's nudge, and its
-- paused events. A set of pauses that cannot be read pauses nothing.
-- KEYS delayed nudge paused
-- ARGV limit
local now = now_ms()
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local later = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local wait = -1
if later[2] then wait = later[2] - now end
local paused = redis.pcall('HKEYS', KEYS[3])
if paused.err then paused = {} end
return {members, wait, redis.call('GET', KEYS[2]) or '', paused}
