-- Pauses events, as of now by the server's clock; how many were not paused before.
-- KEYS paused
-- ARGV event ...
-- uses: clock
local paused, now = 0, now_ms()
for _, event in ipairs(ARGV) do paused = paused + redis.call('HSETNX', KEYS[1], event, now) end
return paused
