-- What is due by the server's clock, how long until the next one, the group's nudge, and its
-- paused events. A set of pauses that cannot be read pauses nothing.
-- KEYS delayed nudge paused
-- ARGV limit
-- uses: clock
-- Each member asks once a second for ever: with nothing to tell, that is to cost one command here.
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) == 0 then return {{}, -1, '', {}} end
local members, wait = {}, -1
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[2] then
  local now = now_ms()
  local next_at = tonumber(first[2])
  if next_at <= now then
    members = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
    next_at = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  end
  if next_at then wait = next_at - now end
end
local paused = redis.pcall('HKEYS', KEYS[3])
if paused.err then paused = {} end
return {members, wait, redis.call('GET', KEYS[2]) or '', paused}
