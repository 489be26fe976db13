-- Still ours? -> onto the dead-letter stream -> ack.
-- KEYS source failed suspects
-- ARGV group consumer id deliveries fresh inbox suspect_field field value ...
local now = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if blocked(now, ARGV[5]) then return now end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 8))
forgive(KEYS[3], ARGV[7])
ack(KEYS[1], ARGV[1], ARGV[3], ARGV[6])
return 1
