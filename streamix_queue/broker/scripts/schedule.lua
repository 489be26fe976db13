-- Still ours? -> into the delayed set, due by the server's clock -> ack.
-- KEYS source delayed suspects
-- ARGV group consumer id deliveries fresh inbox suspect_field delay_ms member
local now = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if blocked(now, ARGV[5]) then return now end
redis.call('ZADD', KEYS[2], now_ms() + tonumber(ARGV[8]), ARGV[9])
forgive(KEYS[3], ARGV[7])
ack(KEYS[1], ARGV[1], ARGV[3], ARGV[6])
return 1
