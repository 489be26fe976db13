-- Still ours? -> one more start of this suspect; 0 = not ours.
-- KEYS source suspects
-- ARGV group consumer id deliveries fresh suspect_field ttl_ms
if blocked(standing(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]), ARGV[5]) then return 0 end
local starts = redis.call('HINCRBY', KEYS[2], ARGV[6], 1)
redis.call('PEXPIRE', KEYS[2], ARGV[7])
return starts
