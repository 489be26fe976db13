-- Still ours? -> onto the dead-letter stream -> ack.
-- KEYS source failed suspects
-- ARGV group consumer id deliveries or_absent inbox suspect_field field value ...
-- uses: fence finish
local stands = standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if blocked(stands, ARGV[5]) then return stands end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 8))
finish(KEYS[1], ARGV[1], ARGV[3], ARGV[6], KEYS[3], ARGV[7])
return 1
