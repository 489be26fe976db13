-- This member handles these events, as of now by the server's clock.
-- KEYS handlers
-- ARGV ttl_ms event ...
-- uses: clock
local now = now_ms()
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]))
return 1
